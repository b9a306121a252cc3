"""S47: a full dump after real traffic, UNLOGGED tables included, holds none of the names, numbers and bearer values in clear."""

import base64
import re
from pathlib import Path

import pytest

from idp.http.cookies import CookieNames
from idp.kernel.levels import Acr
from idp.people.rules.documents import find_check_character
from idp.people.rules.email_address import EmailAddress
from idp.people.rules.identifiers import parse_id_number, parse_phone
from idp.people.rules.postal_address import PostalAddress
from idp.people.services.directory import NewPerson
from idp.protocol.rules.client import Basis, Entitlement
from tests.support.account import list_forms
from tests.support.dumps import disguise, dump_database, find_clear
from tests.support.provider import ISSUER, PASSWORD, REDIRECT_URI, SESSION, Provider, Somebody, run_provider
from tests.support.web import Web

FAMILY, GIVEN = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许", "明华志强秀英桂兰建国玉梅海燕文博子涵雨桐"
BROWSER, DEVICE = CookieNames(ISSUER, "").browser, CookieNames(ISSUER, "").device
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
MAILBOX = "quiet-harbour-lane"
LOOKED_FOR = [
    *("name", "identity number", "phone", "password", "sms code", "session cookie", "browser cookie", "device cookie", "code"),
    *("access token", "refresh token", "client secret", "interaction", "address", "user agent", "email", "street"),
]


async def add_twenty(provider: Provider) -> list[Somebody]:
    """Add twenty synthetic people whose names, unlike the usual ones, occur nowhere else."""
    people = []
    for number in range(20):
        seventeen = f"350181{1955 + number}0{1 + number % 9}1{number % 9}{701 + number:03d}"
        document = parse_id_number(seventeen + find_check_character(seventeen), provider.now().date())
        phone = parse_phone(f"1376{number:02d}{5_820_431 + 7 * number}"[:11])
        assert document is not None
        assert phone is not None
        name = FAMILY[number] + GIVEN[number] + GIVEN[(number + 7) % 20]
        verifier = await provider.services.passwords.hash(PASSWORD)
        told = {
            "email": EmailAddress(f"{MAILBOX}.{number}@example.com"),
            "address": PostalAddress("福建省", "福州市", "", f"{name}路{number}号"),
        }
        new = NewPerson(name, document, phone, 3, verifier, provider.now(), **told)  # type: ignore[arg-type]
        person_id = await provider.services.people.add_person(new)
        people.append(Somebody(person_id, document.value, phone.value, name))
    return people


def ask(client_id: str, scope: str = "openid profile phone real_name identity") -> str:
    """Return an authorization address."""
    return (
        f"/authorize?client_id={client_id}&redirect_uri={REDIRECT_URI}&response_type=code&scope={scope.replace(' ', '+')}&state=state-1"
        f"&nonce=nonce-1&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )


async def test_s47_a_dump_holds_nothing_in_clear(service_dsn: str, owner_dsn: str, tmp_path: Path) -> None:
    secrets: dict[str, set[str]] = {what: set() for what in LOOKED_FOR}
    agent = "SyntheticBrowser/47.11"
    async with run_provider(service_dsn, tmp_path) as provider:
        await provider.add_client(
            "dumped",
            minimum_acr=Acr.SUBSTANTIAL,
            grant_types=("authorization_code", "refresh_token", "client_credentials"),
            entitlements=(
                Entitlement("登记", Basis.STATUTORY_DUTY, ("name", "phone_number")),
                Entitlement("核验", Basis.CONSENT, ("id_document",)),
            ),
        )
        people = await add_twenty(provider)
        secrets["client secret"] = {provider.secrets["dumped"]}
        secrets["password"], secrets["user agent"] = {PASSWORD}, {agent}
        for number, person in enumerate(people):
            secrets["name"].add(person.name)
            secrets["identity number"].add(person.document)
            secrets["phone"] |= {person.phone, person.phone.removeprefix("+86")}
            web = Web(provider, address=f"203.0.113.{100 + number}")
            secrets["address"].add(f"203.0.113.{100 + number}")
            web.client.headers["user-agent"] = agent
            await web.get(ask("dumped"))
            secrets["interaction"].add(web.fields()["i"])
            page = await web.submit("/sign-in", identifier=person.phone if number % 2 else person.document, password=PASSWORD)
            assert 'name="code"' in page.text
            secrets["browser cookie"].add(web.client.cookies[BROWSER])
            if number >= 15:
                continue  # five sign-ins stay unfinished: their codes wait in the outbox or have just left
            page = await web.submit("/sign-in", code=await web.read_code())
            secrets["sms code"] |= set(web.codes)
            if 'name="decision"' in page.text:
                await web.submit("/consent", decision="allow")
            secrets["session cookie"].add(web.client.cookies[SESSION])
            secrets["device cookie"].add(web.client.cookies[DEVICE])
            assert web.left_to is not None
            found = re.search(r"code=([^&]+)", web.left_to)
            assert found is not None
            secrets["code"].add(found[1])
            if number >= 10:
                continue  # five codes are never redeemed
            form = {"grant_type": "authorization_code", "code": found[1], "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
            tokens = (await provider.post("/token", form, "dumped")).json()
            claims = (await provider.read_userinfo(tokens["access_token"])).json()
            assert claims["phone_number"] == person.phone
            secrets["access token"].add(tokens["access_token"])
            secrets["refresh token"].add(tokens["refresh_token"])
            form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
            secrets["refresh token"].add((await provider.post("/token", form, "dumped")).json()["refresh_token"])
            if number == 0:  # a change that waits for its code
                provider.clock.advance(61)
                form = {"csrf": list_forms(await web.get("/account/email"))[0]["csrf"], "email": "waiting.sample@example.com"}
                assert (await web.client.post("/account/email", data=form)).status_code == 303
                secrets["sms code"].add(await web.read_code())
        secrets["email"] = {"waiting.sample@example.com", "waiting.sample", *(f"{MAILBOX}.{n}@example.com" for n in range(20))}
        secrets["street"] = {f"{person.name}路{number}号" for number, person in enumerate(people)}
        wrong = Web(provider)
        await wrong.get(ask("dumped"))
        await wrong.submit("/sign-in", identifier=people[0].document, password="wrong " + PASSWORD)
        waiting = await provider.services.platform.database.fetch("SELECT state, sealed FROM outbox WHERE state = 'waiting'")
        assert len(waiting) == 5, "messages wait with their codes"
        transients = await provider.services.platform.database.fetch("SELECT kind FROM transients")
        assert {"interaction", "sms_code", "profile_change"} <= {row["kind"] for row in transients}
        assert all(secrets.values()), [what for what, texts in secrets.items() if not texts]
        places = await dump_database(owner_dsn)
        late = Web(provider)
        await late.read_code()  # only now do we learn the codes that waited while the dump was taken
        secrets["sms code"] |= set(late.codes)
        assert len(late.codes) == 5
    assert {
        "people",
        "person_identifiers",
        "sessions",
        "grants",
        "outbox_default",
        "transients (unlogged)",
        "signing_keys",
    } <= places.keys()
    assert sum(map(len, places.values())) > 50_000, "there is a dump to look at"
    assert find_clear(places, {"what stands in clear": ["部门dumped（样例）"]}), "the search finds what is there"
    codes = secrets.pop("sms code")
    secrets = {what: {text for text in texts if len(text) >= 6} for what, texts in secrets.items()}
    secrets["name"] = {text for person in people for text in (person.name,)}
    assert find_clear(places, secrets) == []
    # Six digits occur by chance in ids and instants: a code would stand in these columns alone.
    columns = {name: places[name] for name in places if name.startswith(("outbox", "transients"))}
    for code in codes:
        assert not [name for name, content in columns.items() if re.search(rb"[^0-9a-f\-.:]" + code.encode() + rb"[^0-9a-f\-.:]", content)]
        assert not find_clear(columns, {"sms code": [f'"code":"{code}"', f"code={code}"]})


@pytest.mark.parametrize("text", ["350181195501170701", "赵明桂", "+8613700582043", "a/b+c?d~e"])
def test_the_search_finds_every_disguise(text: str) -> None:
    raw = text.encode()
    for before in (b"", b"x", b"xy", b"\xff\xfe"):
        for after in (b"", b"z", b"zz"):
            whole = before + raw + after
            for content in (
                whole,
                whole.hex().encode(),
                whole.hex().upper().encode(),
                base64.b64encode(whole),
                base64.urlsafe_b64encode(whole),
            ):
                assert find_clear({"t": content}, {"x": [text]}), content
    assert find_clear({"t": b"nothing of it"}, {"x": [text]}) == []
    assert len(disguise(text)) >= 8
