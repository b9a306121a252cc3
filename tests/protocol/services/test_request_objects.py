"""Addresses of request objects are asked seldom: whoever knows one may send people there without end."""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import pytest

from idp.kernel.errors import ProtocolError
from idp.platform.fetching import Fetcher, FetchFailed
from idp.platform.outside_addresses import OutsideRules
from idp.protocol.rules.client_metadata import RequestDemands
from idp.protocol.services.client_keys import ClientKeySets
from idp.protocol.services.request_objects import FETCHES, FRESH, MINUTE, RequestObjects
from tests.support.protocol_samples import make_client
from tests.support.provider import ISSUER

ADDRESSES = tuple(f"https://land.example/request-{n}" for n in range(20))
CLIENT = make_client(requests=RequestDemands(request_uris=ADDRESSES))


class House:
    """Request objects whose addresses answer slowly and are counted."""

    def __init__(self, answer: bytes | None) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.answer = answer
        self.asked: list[str] = []
        self.objects = RequestObjects(ClientKeySets(Fetcher(OutsideRules()), self.clock), self, ISSUER, self.clock)

    def clock(self) -> datetime:
        return self.now

    async def read(self, address: str, *, content_types: Collection[str] = (), size: int = 0, seconds: float = 5.0) -> bytes:
        self.asked.append(address)
        await asyncio.sleep(0)
        if self.answer is None:
            raise FetchFailed("timeout")
        return self.answer

    async def visit(self, address: str, client_id: str = CLIENT.client_id) -> str | None:
        client = make_client(client_id=client_id, requests=CLIENT.requests)
        with pytest.raises(ProtocolError) as caught:
            await self.objects.read({"request_uri": address}, client)
        return caught.value.hint


@pytest.mark.parametrize("answer", [None, b"no object", "没有".encode()])
async def test_of_many_visits_one_asks(answer: bytes | None) -> None:
    house = House(answer)
    hints = await asyncio.gather(*(house.visit(ADDRESSES[0]) for _ in range(50)))
    assert (len(house.asked), len(set(hints))) == (1, 1)
    house.now += FRESH
    await house.visit(ADDRESSES[0])
    assert len(house.asked) == 2


async def test_what_is_there_now_is_read_after_a_while() -> None:
    house = House(None)
    assert await house.visit(ADDRESSES[0]) == "timeout"
    house.answer, house.now = b"x", house.now + FRESH
    assert await house.visit(ADDRESSES[0]) != "timeout"


async def test_the_addresses_of_one_client_are_asked_so_often_in_a_minute() -> None:
    house = House(None)
    for _ in range(4):
        for address in ADDRESSES:
            hint = await house.visit(address)
        house.now += FRESH
    assert (len(house.asked), hint) == (FETCHES, "too often")
    await house.visit(ADDRESSES[0], "another")
    assert len(house.asked) == FETCHES + 1, "each client has its own"
    house.now += MINUTE - 4 * FRESH - timedelta(seconds=1)
    await house.visit(ADDRESSES[0])
    assert len(house.asked) == FETCHES + 1
    house.now += timedelta(seconds=1)
    await house.visit(ADDRESSES[0])
    assert len(house.asked) == FETCHES + 2
