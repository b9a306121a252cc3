"""The keys of clients: read where they are registered, asked for seldom, kept through an outage, gone when they are withdrawn."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from idp.platform.fetching import Fetcher
from idp.platform.outside_addresses import OutsideRules
from idp.protocol.rules.client import Client
from idp.protocol.rules.client_metadata import ClientKeys
from idp.protocol.services import client_keys
from idp.protocol.services.client_keys import ClientKeySets, KeysUnreadable
from keys import InvalidSignature, UnknownKey, read_foreign_token
from tests.support.clocks import ManualClock
from tests.support.foreign import sign_claims

ADDRESS = "https://department.example/jwks"
CLIENT = Client(client_id="hall", name="大厅", keys=ClientKeys(jwks_uri=ADDRESS))
OLD: Any = ECKey.generate_key("P-256", {"kid": "old"}, auto_kid=False)
NEW: Any = ECKey.generate_key("P-256", {"kid": "new"}, auto_kid=False)


def write_set(*keys: Any) -> str:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


class Department(httpx2.AsyncBaseTransport):
    """Publishes ``keys``; ``answer`` replaces what it says."""

    def __init__(self, *keys: Any) -> None:
        self.keys = keys
        self.asked = 0
        self.answer: httpx2.Response | Exception | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return httpx2.Response(self.answer.status_code, headers=self.answer.headers, stream=httpx2.ByteStream(self.answer.content))
        body = write_set(*self.keys).encode()
        return httpx2.Response(200, headers={"content-type": "application/jwk-set+json"}, stream=httpx2.ByteStream(body))


async def look_up(_host: str, _port: int) -> list[str]:
    return ["93.184.215.14"]


@pytest.fixture
def department() -> Department:
    return Department(OLD)


@pytest.fixture
def sets(department: Department, clock: ManualClock) -> ClientKeySets:
    return ClientKeySets(Fetcher(OutsideRules(), resolve=look_up, transport=department), clock)


async def check(sets: ClientKeySets, key: Any, client: Client = CLIENT) -> None:
    token = read_foreign_token(sign_claims(key, {"iss": "hall"}))
    assert (await sets.verify(client, token, ["ES256"], None)).thumbprint == key.thumbprint()


async def test_an_address_is_asked_once_and_believed_for_a_while(sets: ClientKeySets, department: Department, clock: ManualClock) -> None:
    for _ in range(5):
        await check(sets, OLD)
    assert department.asked == 1
    clock.advance(599)
    await check(sets, OLD)
    assert department.asked == 1
    clock.advance(1)
    await check(sets, OLD)
    assert department.asked == 2


async def test_a_new_key_is_found_once_a_minute(sets: ClientKeySets, department: Department, clock: ManualClock) -> None:
    await check(sets, OLD)
    department.keys = (OLD, NEW)
    for _ in range(3):
        with pytest.raises(UnknownKey):
            await check(sets, NEW)
    assert department.asked == 1, "asked within the same minute"
    clock.advance(60)
    await check(sets, NEW)
    await check(sets, OLD)
    assert department.asked == 2
    stranger = ECKey.generate_key("P-256", {"kid": "stranger"}, auto_kid=False)
    clock.advance(61)
    for _ in range(20):
        with pytest.raises(UnknownKey):
            await check(sets, stranger)
    assert department.asked == 3, "whoever sends unknown names makes us ask once a minute"


async def test_many_at_once_ask_once(sets: ClientKeySets, department: Department, clock: ManualClock) -> None:
    await asyncio.gather(*(check(sets, OLD) for _ in range(20)))
    assert department.asked == 1
    department.keys = (NEW,)
    clock.advance(61)
    await asyncio.gather(*(check(sets, NEW) for _ in range(20)))
    assert department.asked == 2


async def test_a_withdrawn_key_ends(sets: ClientKeySets, department: Department, clock: ManualClock) -> None:
    await check(sets, OLD)
    department.keys = (NEW,)
    clock.advance(600)
    with pytest.raises(InvalidSignature):
        await check(sets, OLD)


@pytest.mark.parametrize(
    "answer, reason",
    [
        (httpx2.ConnectError("no"), "connection"),
        (httpx2.Response(500), "status_500"),
        (httpx2.Response(302, headers={"location": "https://10.0.0.1/"}), "redirect"),
        (httpx2.Response(200, headers={"content-type": "text/html"}, content=b"{}"), "type"),
        (httpx2.Response(200, headers={"content-type": "application/json"}, content=b"{}"), "no list of keys"),
        (httpx2.Response(200, headers={"content-type": "application/json"}, content=b"x" * 70_000), "size"),
    ],
)
async def test_an_outage_is_survived_for_an_hour(
    sets: ClientKeySets, department: Department, clock: ManualClock, answer: Any, reason: str
) -> None:
    await check(sets, OLD)
    department.answer = answer
    clock.advance(3599)
    await check(sets, OLD)
    clock.advance(60)
    with pytest.raises(KeysUnreadable) as unreadable:
        await check(sets, OLD)
    assert unreadable.value.reason == reason
    department.answer = None
    with pytest.raises(KeysUnreadable):
        await check(sets, OLD)
    clock.advance(60)
    await check(sets, OLD)


async def test_an_address_that_never_answered(sets: ClientKeySets, department: Department) -> None:
    department.answer = httpx2.Response(404)
    for _ in range(3):
        with pytest.raises(KeysUnreadable, match="status_404"):
            await check(sets, OLD)
    assert department.asked == 1


async def test_an_address_inside_is_not_asked(sets: ClientKeySets, department: Department) -> None:
    for address in ("http://department.example/jwks", "https://user@department.example/jwks"):
        with pytest.raises(KeysUnreadable, match=r"scheme|address"):
            await check(sets, OLD, replace(CLIENT, keys=ClientKeys(jwks_uri=address)))
    assert department.asked == 0


async def test_registered_keys_are_asked_of_nobody(sets: ClientKeySets, department: Department) -> None:
    client = replace(CLIENT, keys=ClientKeys(jwks=write_set(OLD)))
    await check(sets, OLD, client)
    await check(sets, OLD, client)
    with pytest.raises(UnknownKey):
        await check(sets, NEW, client)
    with pytest.raises(UnknownKey):
        await check(sets, NEW, replace(CLIENT, keys=ClientKeys()))
    with pytest.raises(KeysUnreadable, match="private"):
        await check(sets, OLD, replace(CLIENT, keys=ClientKeys(jwks=json.dumps({"keys": [OLD.as_dict(private=True)]}))))
    assert department.asked == 0


async def test_what_is_remembered_is_bounded(sets: ClientKeySets, department: Department, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_keys, "MAX_KNOWN", 2)
    for number in range(5):
        await sets.read(replace(CLIENT, keys=ClientKeys(jwks_uri=f"{ADDRESS}/{number}")))
        await sets.read(replace(CLIENT, keys=ClientKeys(jwks=json.dumps({"keys": [], "number": number}))))
    assert department.asked == 5
    assert len(sets._published) == 1
    assert len(sets._registered) == 1
