"""A province whose bank authority wants four factors, and whose cards are longer: settings, not code."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from idp.kernel.checks import CheckKind
from idp.people.rules.identifiers import IdentifierKind, IdNumber, parse_document, parse_phone
from idp.people.services.directory import NewPerson
from tests.support.provider import Provider, Somebody, run_provider
from tests.support.registering import Registering


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(service_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Provider]:
    chosen = {"BANK_CARD_FACTORS": "4", "SOCIAL_SECURITY_CARD_SHORTEST": "10"}
    environ = {f"IDP_REGISTRATION__{name}": value for name, value in chosen.items()}
    async with run_provider(service_dsn, tmp_path_factory.mktemp("province"), **environ) as running:
        yield running


async def test_the_phone_that_the_bank_knows_is_asked_for_and_binds(provider: Provider) -> None:
    web = Registering(provider, 500)
    await web.begin()
    await web.walk("items")
    assert 'name="bank_phone"' in web.text
    person = web.person
    page = await web.send(bank_card=person.bank_card, housing_fund_account=person.housing_fund_account)
    assert page.status_code == 422
    assert "银行预留手机号" in page.text
    page = await web.send(bank_card=person.bank_card, bank_phone="123", housing_fund_account=person.housing_fund_account)
    assert page.status_code == 422
    assert 'value="123"' in page.text
    items = {"bank_card": person.bank_card, "bank_phone": person.bank_phone, "housing_fund_account": person.housing_fund_account}
    await web.send(**items)
    asked = [call for call in provider.authorities.calls if call.kind == CheckKind.BANK_CARD]
    assert [call.subject["bank_phone"] for call in asked] == [f"+86{person.bank_phone}"]
    await web.take("password")
    await web.take("agreement")
    known = await provider.services.people.find_by_identifier(person.id_number)
    assert known is not None
    assert known.standing.ial == 3
    assert known.standing.phone_matched_at is None, "the bank is not the operator"


async def test_another_phone_at_the_bank_is_a_mismatch(provider: Provider) -> None:
    web = Registering(provider, 501)
    await web.begin()
    await web.walk("items")
    page = await web.send(bank_card=web.person.bank_card, bank_phone="13900000001", housing_fund_account=web.person.housing_fund_account)
    assert page.status_code == 422
    assert "还差1项" in page.text
    assert "请在下面再任选1项核对" in page.text
    assert "任选两项" not in page.text


async def test_a_bank_that_names_the_phone_raises_and_binds_nothing_anew(provider: Provider) -> None:
    web = Registering(provider, 503)
    person = web.person
    document = parse_document(IdentifierKind.RESIDENT_ID, person.id_number, provider.clock().date())
    assert isinstance(document, IdNumber)
    person_id = await provider.services.people.add_person(NewPerson(person.name, document, parse_phone(person.bank_phone), 2, None, None))
    web.client.cookies.update(await provider.open_session(Somebody(person_id, "", "", "")))
    await web.get("/raise")
    await web.send(bank_card=person.bank_card, bank_phone=person.bank_phone, housing_fund_account=person.housing_fund_account)
    known = await provider.services.people.find_by_id(person_id)
    assert known is not None
    assert known.standing.ial == 3
    assert known.standing.phone_matched_at is None, "the bank is not the operator"
    contacts = await provider.services.platform.database.fetch("SELECT state FROM person_contacts WHERE person_id = $1", person_id)
    assert contacts == [], "the number is the person's own already"


async def test_the_provinces_lengths_hold(provider: Provider) -> None:
    web = Registering(provider, 502)
    await web.begin()
    await web.walk("items")
    page = await web.send(social_security_card="FJ1234567", phone_check="1")
    assert page.status_code == 422
    assert 'id="social_security_card-error"' in page.text
