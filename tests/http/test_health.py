"""Whether a process is ready, and what its log says is away: PostgreSQL and Redis are told apart."""

from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from idp.http.cookies import CookieNames
from idp.http.health import Health
from idp.http.messages import load_messages
from idp.http.middleware import Shell
from idp.http.rendering import Pages, Service
from idp.http.request_context import ContextRules
from idp.http.static import StaticFiles
from idp.kernel.clock import Random, read_system_random
from idp.platform.database import Database, DatabaseUnavailable
from idp.platform.transients import Transients, TransientsUnavailable
from idp.platform.transients.postgres import PostgresTransients
from idp.platform.transients.redis import RedisTransients, connect_redis
from keys import DataKeys
from tests.support.clocks import ManualClock
from tests.support.provider import run_provider

ISSUER = "http://127.0.0.1:8000"
NOBODY = "redis://127.0.0.1:1/0"


async def ask_ready(database: Database, transients: Transients) -> httpx2.Response:
    routes = [Route("/readyz", Health(database, transients).show_ready)]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(Starlette(routes=routes)), base_url=ISSUER) as client:
        return await client.get("/readyz")


async def test_it_is_ready_when_both_answer(database: Database, transients: PostgresTransients) -> None:
    assert (await ask_ready(database, transients)).status_code == 200


async def test_what_does_not_answer_is_named(
    database: Database, transients: PostgresTransients, data_keys: DataKeys, clock: ManualClock, random: Random
) -> None:
    nowhere = Database("postgresql://idp@127.0.0.1:1/idp")
    answer = await ask_ready(nowhere, transients)
    assert (answer.status_code, answer.text) == (503, "the database does not answer\n")
    redis = RedisTransients(connect_redis(NOBODY), data_keys.sealer("transients"), data_keys.mac("transients"), clock, random)
    answer = await ask_ready(database, redis)
    assert (answer.status_code, answer.text) == (503, "the store of transients does not answer\n")
    await redis.close()
    await nowhere.close()


async def test_a_whole_provider_is_not_ready_without_its_redis(service_dsn: str, tmp_path: Path) -> None:
    async with run_provider(service_dsn, tmp_path, IDP_TRANSIENTS__STORE="redis", IDP_TRANSIENTS__REDIS_URL=NOBODY) as provider:
        assert (await provider.browser.get("/readyz")).status_code == 503
        assert (await provider.browser.get("/healthz")).status_code == 200


class Lines:
    """A log that keeps what is written."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def info(self, event: str, /, **fields: object) -> None:
        """Forget it."""

    def error(self, event: str, /, **fields: object) -> None:
        """Keep the event."""
        self.errors.append(event)


@pytest.mark.parametrize(
    ("error", "event"),
    [(DatabaseUnavailable("x"), "database_unavailable"), (TransientsUnavailable("x"), "transients_unavailable")],
)
async def test_the_log_names_what_is_away(error: Exception, event: str) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    log = Lines()
    pages = Pages(load_messages(), Service("一证通", "Yizheng", "12345"), StaticFiles())
    shell = Shell(fail, issuer=ISSUER, pages=pages, rules=ContextRules(CookieNames(ISSUER)), random=read_system_random, log=log)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(shell), base_url=ISSUER) as client:
        assert (await client.get("/x")).status_code == 503
    assert log.errors == [event]
