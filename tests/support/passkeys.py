"""People with passkeys on a provider in the test's process, whose issuer has a name: browsers make none for an address."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from idp.authenticators.rules.passkey import find_relying_party
from idp.kernel.audit_events import Place
from idp.kernel.levels import Factor, Proved
from tests.support.account import list_forms
from tests.support.authenticator import Authenticator
from tests.support.provider import SESSION, Provider, Somebody, run_provider
from tests.support.web import Web

ISSUER = "http://localhost:8000"
ACCOUNT = "/account/passkeys"


@asynccontextmanager
async def run_named_provider(service_dsn: str, folder: Path, **environ: str) -> AsyncIterator[Provider]:
    """Run a provider at ISSUER."""
    async with run_provider(service_dsn, folder, IDP_SERVER__ISSUER=ISSUER, **environ) as running:
        yield running


def make_authenticator() -> Authenticator:
    """Return a device that would make passkeys for ISSUER."""
    party = find_relying_party(ISSUER)
    assert party is not None
    return Authenticator(party.origin, party.id)


def find_options(page: httpx2.Response) -> str:
    """Return what the script of a page would ask the browser."""
    found = re.search(r'data-passkey="([^"]+)"', page.text)
    assert found is not None, page.text
    return unescape(found[1])


async def open_browser(provider: Provider, person: Somebody, *factors: Factor, ago: float = 0, **headers: str) -> Web:
    """Return a browser in which the person proved these factors, by default password and code, so many seconds ago."""
    web = Web(provider)
    web.client.headers.update(headers)
    at = provider.now()
    proved = tuple(Proved(f, at) for f in factors or (Factor.PASSWORD, Factor.SMS))
    async with provider.services.platform.database.transaction() as tx:
        opened = await provider.services.sessions.open(tx, person.person_id, proved, None, Place("192.0.2.7"))
    web.client.cookies.set(SESSION, opened.cookie, domain="localhost.local")
    provider.clock.advance(ago)
    return web


async def add_passkey(web: Web, device: Authenticator, name: str = "") -> httpx2.Response:
    """Add a passkey on the account's page, as its script does."""
    page = await web.get(ACCOUNT)
    form = next(one for one in list_forms(page) if one.get("do") == "add")
    return await web._follow(await web.client.post(ACCOUNT, data={**form, "name": name, "passkey": device.make(find_options(page))}))


async def use_passkey(web: Web, device: Authenticator) -> httpx2.Response:
    """Use a passkey on the present page of the sign-in, as its script does."""
    assert web.page is not None
    form = next(one for one in list_forms(web.page) if one.get("ask") == "passkey")
    answer = device.use(find_options(web.page))
    return await web._follow(await web.client.post("/sign-in", data={**form, "passkey": answer}))


async def add_holder(provider: Provider, **more: int) -> tuple[Somebody, Authenticator]:
    """Add a synthetic person with one passkey."""
    person, device = await provider.add_person(**more), make_authenticator()
    web = await open_browser(provider, person)
    page = await add_passkey(web, device)
    assert page.status_code == 200, page.text
    assert urlsplit(str(page.url)).query.startswith("done="), page.text
    return person, device
