"""Asks the admin API as two clients of an operator: one that writes, one that approves."""

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.provider import ISSUER, Provider

ADMIN = f"{ISSUER}/admin/v1"


@dataclass(frozen=True)
class Administrator:
    """A client that administers others, with an access token."""

    provider: Provider
    client_id: str
    token: str

    async def ask(self, method: str, path: str, json: Any = None, **headers: str) -> httpx2.Response:
        """Ask ``path`` below ``/admin/v1``; the names of headers are written with underscores."""
        sent = {"authorization": f"Bearer {self.token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.provider.browser.request(method, f"/admin/v1{path}", json=json, headers=sent)

    async def change(self, client_id: str, patch: dict[str, Any], version: str | None = None) -> httpx2.Response:
        """Change a client that is read first, unless ``version`` is named."""
        tag = version or (await self.ask("GET", f"/clients/{client_id}")).headers["etag"]
        return await self.ask("PATCH", f"/clients/{client_id}", patch, if_match=tag)


async def appoint(provider: Provider, client_id: str, *scopes: str) -> Administrator:
    """Register a client with scopes of the admin API, as an operator does, and let it ask for a token."""
    if client_id not in provider.secrets:
        await provider.add_client(
            client_id, grant_types=("client_credentials",), redirect_uris=(), post_logout_redirect_uris=(), scopes=scopes, status="live"
        )
    answer = await provider.post("/token", {"grant_type": "client_credentials", "resource": ADMIN}, client_id)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == " ".join(scopes)
    return Administrator(provider, client_id, answer.json()["access_token"])
