"""People with passkeys on a provider in the test's process, whose issuer has a name: browsers make none for an address."""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from idp.authenticators.rules.passkey import find_relying_party
from idp.kernel.audit_events import Place
from idp.kernel.ids import encode_base64url
from idp.kernel.levels import Factor, Proved
from tests.support.account import list_forms
from tests.support.authenticator import Authenticator
from tests.support.provider import REDIRECT_URI, SESSION, Provider, Somebody, run_provider
from tests.support.web import Web

ISSUER = "http://localhost:8000"
ACCOUNT = "/account/passkeys"
VERIFIER = "v" * 43


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


async def add_holder(provider: Provider, **more: Any) -> tuple[Somebody, Authenticator]:
    """Add a synthetic person with one passkey."""
    person, device = await provider.add_person(**more), make_authenticator()
    web = await open_browser(provider, person)
    page = await add_passkey(web, device)
    assert page.status_code == 200, page.text
    assert urlsplit(str(page.url)).query.startswith("done="), page.text
    return person, device


def write_request(client_id: str, **changes: str) -> str:
    """Return the address of an authorization request."""
    parameters = {
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "state": "state-1",
        "code_challenge": encode_base64url(hashlib.sha256(VERIFIER.encode()).digest()),
        "code_challenge_method": "S256",
        **changes,
    }
    return f"/authorize?{urlencode(parameters)}"


def read_answer(web: Web) -> dict[str, str]:
    """Return what the department gets."""
    assert web.left_to is not None, web.page.text if web.page else ""
    return {name: values[0] for name, values in parse_qs(urlsplit(web.left_to).query).items()}
