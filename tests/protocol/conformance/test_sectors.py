"""Nothing that leaves the house brings two sectors' knowledge of one person together (design: protocol.md §2)."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from idp.protocol.rules.client import Basis, Entitlement
from idp.protocol.rules.client_metadata import LogoutAddresses, RequestDemands, TokenFormat
from tests.support.logout import deliver_logouts, listen_for_logouts, read_logout_token
from tests.support.provider import ISSUER, Provider

GRANTS = frozenset({"authorization_code", "refresh_token"})
OURS = {ISSUER, "Bearer", "at+jwt", "logout+jwt", "JWT", "ES256"}
"""Words of the protocol and of this installation."""

INSTANTS = {"auth_time", "updated_at", "iat", "exp", "nbf"}
"""One sign-in is one instant for everybody, and so is its end: ``max_age`` needs the first (OpenID Connect Core §2)."""

ASKED = {"acr", "amr", "scope", "name", "locale", "real_name_verified", "ial", "active", "expires_in", "events", "kid"}
"""Levels, what was asked for (the name itself is data that both were asked to get), and the key that signs for all."""


def list_values(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Return every value inside an answer with the name it stands under."""
    if isinstance(value, dict):
        for inner, part in value.items():
            yield from list_values(part, inner)
    elif isinstance(value, list):
        for part in value:
            yield from list_values(part, name)
    else:
        yield name, value


def read_parts(token: str) -> list[dict[str, Any]]:
    """Return header and claims of a JWT without looking at its signature."""
    return [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")[:2]]


async def test_s56_two_sectors_share_no_value_of_any_answer_about_one_person(provider: Provider) -> None:
    entitled = (Entitlement("登记", Basis.STATUTORY_DUTY, ("name",)),)
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    seen: dict[str, list[tuple[str, Any]]] = {}
    told: dict[str, dict[str, Any]] = {}
    async with listen_for_logouts() as address:
        for sector in ("x", "y"):
            client, resource = f"sector-{sector}", f"https://{sector}.example/api"
            await provider.add_client(
                client,
                grant_types=GRANTS,
                entitlements=entitled,
                logout=LogoutAddresses(backchannel_logout_uri=address.address),
                requests=RequestDemands(allowed_resources=(resource,)),
            )
            await provider.add_client(
                f"api-{sector}",
                grant_types=frozenset({"client_credentials"}),
                redirect_uris=(),
                resources=(resource,),
                access_token_format=TokenFormat.JWT,
            )
            ask = {"nonce": f"nonce-{sector}", "scope": "openid profile real_name"}
            tokens = await provider.get_tokens(client, cookies, **ask)
            narrowed = await provider.get_tokens(client, cookies, resource=resource, **ask)
            answers: list[Any] = [tokens, narrowed, *read_parts(tokens["id_token"]), *read_parts(narrowed["access_token"])]
            answers.append((await provider.read_userinfo(tokens["access_token"])).json())
            answers.append((await provider.post("/introspect", {"token": tokens["access_token"]}, client)).json())
            answers.append((await provider.post("/introspect", {"token": narrowed["access_token"]}, f"api-{sector}")).json())
            refreshed = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, client)
            answers.append(refreshed.json())
            assert answers[-2]["active"] is True
            assert refreshed.status_code == 200
            seen[sector] = list(list_values(answers))
            provider.clock.advance(7)
        async with provider.services.platform.database.transaction() as tx:
            session = await provider.services.sessions.list_lineages(person.person_id)
            await provider.services.sessions.end_lineage(tx, session[0], "signed out")
        await deliver_logouts(provider)
        for token in address.tokens:
            header, claims = await read_logout_token(provider, token)
            told[claims["aud"]] = claims
            seen[claims["aud"].removeprefix("sector-")] += list_values([header, claims, {"logout_token": token}])
    assert told["sector-x"]["sid"] != told["sector-y"]["sid"]
    assert len(seen["x"]) > 60, "a test that looks at nothing finds nothing"
    values = [{(name, value) for name, value in seen[sector] if name not in INSTANTS} for sector in ("x", "y")]
    shared = {(name, value) for name, value in values[0] & values[1] if value not in OURS}
    assert {name for name, _ in shared} <= ASKED, shared
    # Not under another name either: what is a name here is no value there.
    known = [{str(value) for name, value in seen[sector] if name not in INSTANTS | ASKED} - OURS for sector in ("x", "y")]
    assert not {value for value in known[0] & known[1] if len(value) > 3}
    for sector, other in (("x", "y"), ("y", "x")):
        for identifying in (f"sector-{other}", f"api-{other}", person.person_id.hex, str(person.person_id), person.document, person.phone):
            assert not [name for name, value in seen[sector] if identifying in str(value)], identifying
