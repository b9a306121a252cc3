"""A person on the own account's pages: signed in as a browser without scripts, with every form of a page readable by itself."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx2

from idp.kernel.audit_events import Place
from idp.kernel.levels import Factor, Proved
from idp.platform.outbox import deliver_due
from tests.support.provider import SESSION, Provider, Somebody
from tests.support.web import Web

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0"
COMPUTER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0"
PAGES = tuple(f"/account{part}" for part in ("", "/profile", "/sessions", "/history", "/releases", "/password", "/freeze"))


def list_forms(page: httpx2.Response) -> list[dict[str, str]]:
    """Return the hidden fields of each form of a page, in order."""
    return [
        {name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)}
        for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL)
    ]


async def sign_in_to(provider: Provider, person: Somebody, path: str = "/account", **headers: str) -> Web:
    """Return a browser in which the person signed in by password and came to ``path``."""
    web = Web(provider)
    web.client.headers.update(headers)
    page = await web.sign_in(person, path)
    assert page.status_code == 200, page.text
    return web


async def open_account(provider: Provider, person: Somebody, path: str = "/account", **headers: str) -> Web:
    """Return the same as if the person had signed in: quicker, since no password is hashed."""
    web = Web(provider)
    web.client.headers.update(headers)
    place = Place("192.0.2.7", headers.get("user-agent", ""))
    async with provider.services.platform.database.transaction() as tx:
        proved = (Proved(Factor.PASSWORD, provider.now()),)
        opened = await provider.services.sessions.open(tx, person.person_id, proved, None, place)
    web.client.cookies.set(SESSION, opened.cookie, domain="127.0.0.1")
    page = await web.get(path)
    assert page.status_code == 200, page.text
    return web


def read_cookies(web: Web) -> dict[str, str]:
    """Return the session cookie of a browser."""
    cookie = web.client.cookies.get(SESSION)
    assert cookie is not None
    return {SESSION: cookie}


async def read_messages(provider: Provider) -> list[dict[str, Any]]:
    """Deliver every message that waits and return them."""
    sent: list[dict[str, Any]] = []

    async def keep(payload: dict[str, Any], message_id: object) -> str:
        sent.append(payload)
        return "kept"

    platform = provider.services.platform
    while await deliver_due(platform.outbox, platform.database, {"sms": keep}):
        pass
    return sent


async def read_notices(provider: Provider) -> list[dict[str, Any]]:
    """Deliver every message that waits and return those that are no codes."""
    return [payload for payload in await read_messages(provider) if "code" not in payload["parameters"]]


async def read_own_events(provider: Provider, person: Somebody, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (kind, details) of a person's audit rows of these kinds, in no particular order: the clock stands still."""
    statement = "SELECT kind, details FROM audit_events WHERE person_id = $1 AND kind = ANY($2::text[]) ORDER BY at, kind, details"
    rows = await provider.services.platform.database.fetch(statement, person.person_id, list(kinds))
    return [(row["kind"], json.loads(row["details"])) for row in rows]


def find_bare(text: str, person: Somebody) -> Iterator[str]:
    """Return what a page shows of a person that it should not."""
    local = person.phone.removeprefix("+86")
    for secret in (person.document, person.document[6:14], local, local[3:7] + local[7:], person.name, "192.0.2.7", str(person.person_id)):
        if secret in text:
            yield secret
