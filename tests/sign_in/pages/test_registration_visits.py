"""An unfinished or finished registration in a browser is nobody's key: a later visit proves the phone, and what was ended stays ended."""

from collections.abc import Iterator

import pytest

from tests.support.provider import SESSION, Provider
from tests.support.registering import Registering

_NUMBERS = iter(range(3_000, 4_000))


@pytest.fixture
def numbers() -> Iterator[int]:
    """Numbers of people whom no other test of this module uses."""
    return _NUMBERS


@pytest.mark.parametrize("hours", [0.01, 1, 60])
@pytest.mark.parametrize("step", ["items", "password", "agreement"])
async def test_another_visit_shows_nothing_and_opens_nothing_without_the_phone(
    provider: Provider, numbers: Iterator[int], hours: float, step: str
) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk(step)
    provider.clock.advance(hours * 3_600 + 61)
    await web.begin_authorization()
    flow = web.fields()["i"]
    for page in ("items", "password", "agreement"):
        await web.get(f"/register/{page}?i={flow}")
        assert web.at == "/register", page
    await web.submit("/register", go_on="1")
    assert web.at == "/register/code"
    for page, typed in (("password", {"password": "my own secret 4711"}), ("agreement", {"agreement": "1"})):
        await web.submit(f"/register/{page}", **typed)
        assert web.at == "/register/code", page
    assert not web.client.cookies.get(SESSION)


async def test_a_finished_registration_opens_nothing_once_its_session_was_ended(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("agreement")
    kept = {cookie.name: cookie.value for cookie in web.client.cookies.jar}
    await web.take("agreement")
    known = await provider.services.people.find_by_identifier(web.person.id_number)
    assert known is not None
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.sessions.end_all(tx, known.standing.person_id, "ended elsewhere")
    web.client.cookies.clear()
    for name, value in kept.items():
        web.client.cookies.set(name, value or "", domain="127.0.0.1")
    await web.get("/register")
    await web.submit("/register/agreement", go_on="1")
    assert not web.client.cookies.get(SESSION)


async def test_a_stale_first_form_undoes_nothing(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("items")
    await web.follow("back")
    stale = web.fields()
    await web.get(f"/register?i={stale['i']}")
    await web.take("items")
    page = await web.client.post(
        "/register/identity",
        data={**stale, "name": "测试别人", "document_kind": "resident_id", "id_number": "110101195002280019", "phone": web.person.phone},
    )
    assert page.status_code == 422
    assert "110101195002280019" in page.text, "what was typed is still there"
    await web.get(f"/register?i={stale['i']}")
    assert web.at == "/register/password"


async def test_what_cannot_be_a_code_costs_no_try(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    await web.begin()
    await web.walk("code")
    for typed in ("12", "1234567", "abcdef"):
        page = await web.send(code=typed)
        assert page.status_code == 422
        assert "还可以试" not in page.text
    await web.confirm()
    assert web.at == "/register/items"


async def test_what_a_stranger_typed_is_in_no_message_of_ours(provider: Provider, numbers: Iterator[int]) -> None:
    web = Registering(provider, next(numbers))
    web.become(name="某您的医保卡已停用请立即拨打")
    await web.begin()
    await web.identify()
    rows = await provider.services.platform.database.fetch("SELECT id, sealed FROM outbox WHERE state = 'waiting'")
    assert rows
    seen: list[dict[str, object]] = []

    async def keep(payload: dict[str, object], message_id: object) -> str:
        seen.append(payload)
        return "kept"

    from idp.platform.outbox import deliver_due

    platform = provider.services.platform
    await deliver_due(platform.outbox, platform.database, {"sms": keep})
    assert seen
    assert not any("医保" in str(payload) for payload in seen)


async def test_the_phones_own_limits_are_not_told_to_whoever_types_it(provider: Provider, numbers: Iterator[int]) -> None:
    first, second = Registering(provider, next(numbers), "192.0.2.30"), Registering(provider, next(numbers), "192.0.2.31")
    await first.begin()
    await first.identify()
    second.become(phone=first.person.phone)
    await second.begin()
    page = await second.identify()
    assert page.status_code == 200
    assert second.at == "/register/code", "nothing says that a message went to this phone a moment ago"
