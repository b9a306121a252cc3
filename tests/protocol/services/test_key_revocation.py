"""A revoked signing key takes with it what rests on it: the grants whose latest tokens it signed, and nothing else."""

import asyncio

import pytest

from idp.protocol.services.key_revocation import KeyRevocation
from keys import KeyState, UntrustedKeyRecord
from tests.support.provider import Provider
from tests.support.waiting import wait_until

UNSIGNED = """
    INSERT INTO grants (id, client_id, scope, factors, created_at, expires_at)
    VALUES (gen_random_uuid(), $1, '', '', $2::timestamptz, $2::timestamptz + interval '1 hour')
"""


async def read_grants(provider: Provider, client_id: str) -> list[tuple[str, str | None]]:
    rows = await provider.services.platform.database.fetch(
        "SELECT signed_by, ended_reason FROM grants WHERE client_id = $1 ORDER BY created_at, id", client_id
    )
    return [(row["signed_by"], row["ended_reason"]) for row in rows]


async def rotate(provider: Provider, algorithm: str = "ES256") -> tuple[str, str]:
    """Let a successor take over at once; return the key before and the one that signs now."""
    platform = provider.services.platform
    before = platform.ring.find_signer(algorithm).kid
    await platform.key_rotation.rotate(algorithm, "test")
    provider.clock.advance(601)
    await platform.key_rotation.advance()
    await platform.ring.reload()
    after = platform.ring.find_signer(algorithm).kid
    assert after != before
    return before, after


async def end_grants(provider: Provider, kid: str) -> int:
    platform = provider.services.platform
    return await KeyRevocation(platform.database, platform.audit_log, platform.clock).end_grants(kid, "test")


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
async def test_a_grant_names_the_key_of_its_latest_token(provider: Provider, algorithm: str) -> None:
    client = await provider.add_client(
        f"named-{algorithm}".lower(), id_token_algorithm=algorithm, grant_types=("authorization_code", "refresh_token")
    )
    cookies = await provider.open_session(await provider.add_person())
    tokens = await provider.get_tokens(client, cookies)
    kid = provider.services.platform.ring.find_signer(algorithm).kid
    assert await read_grants(provider, client) == [(kid, None)]
    before, after = await rotate(provider, algorithm)
    assert before == kid
    refreshed = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, client)
    assert refreshed.status_code == 200, refreshed.text
    assert await read_grants(provider, client) == [(after, None)]
    # The grace of a lost successor signs once more, and says so too.
    repeated = await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}, client)
    assert repeated.status_code == 200, repeated.text
    assert await read_grants(provider, client) == [(after, None)]


async def test_revoking_a_key_ends_the_grants_behind_it_and_no_others(provider: Provider) -> None:
    old, new, other = [await provider.add_client(name) for name in ("signed-before", "signed-after", "signed-otherwise")]
    await provider.execute("DELETE FROM grants")
    person = await provider.add_person()
    cookies = await provider.open_session(person)
    first = [await provider.get_tokens(old, cookies), await provider.get_tokens(old, cookies)]
    await provider.execute("UPDATE grants SET signed_by = 'nobody ' || signed_by WHERE ctid = (SELECT min(ctid) FROM grants)")
    before, after = await rotate(provider)
    cookies = await provider.open_session(person)
    kept = await provider.get_tokens(new, cookies)
    platform = provider.services.platform
    await provider.execute(UNSIGNED, other, provider.now())
    await platform.key_rotation.revoke(before, "a copy was found", "test")
    assert await end_grants(provider, before) == 2
    assert await end_grants(provider, before) == 0, "it may be called again"
    assert {reason for _, reason in await read_grants(provider, old)} == {"key_revoked"}
    assert await read_grants(provider, new) == [(after, None)]
    assert [reason for _, reason in await read_grants(provider, other)] == [None]
    for tokens in first:
        assert (await provider.read_userinfo(tokens["access_token"])).status_code == 401
    assert (await provider.read_userinfo(kept["access_token"])).status_code == 200
    (event,) = [e for e in await provider.read_events("grant_ended") if before in e["details"]]
    assert (event["client_id"], event["actor"], event["person_id"]) == (old, "test", None)
    assert '"grants":2' in event["details"].replace(" ", "")


async def test_a_hint_of_a_retired_key_still_names_who_it_was_and_of_a_revoked_one_nothing(provider: Provider) -> None:
    client = await provider.add_client("hinted")
    tokens = await provider.get_tokens(client, await provider.open_session(await provider.add_person()))
    platform = provider.services.platform
    before, _ = await rotate(provider)
    provider.clock.advance(platform.settings.keys.retiring_seconds)
    await platform.key_rotation.advance()
    await platform.ring.reload()
    states = {key.kid: key.state for key in await platform.key_rotation.list_keys()}
    assert states[before] is KeyState.RETIRED
    hint = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "https://department.example/", "client_id": client}
    page = await provider.browser.get("/sign-out", params=hint)
    assert page.status_code in (200, 303), page.text
    from idp.logout import build_id_tokens

    id_tokens = build_id_tokens(platform)
    named = id_tokens.read_hint(tokens["id_token"])
    assert named is not None
    assert named.client_id == client
    await platform.key_rotation.revoke(before, "a copy was found", "test")
    await platform.ring.reload()
    assert id_tokens.read_hint(tokens["id_token"]) is None


async def test_a_row_that_cannot_be_believed_stops_nobody_from_hearing_of_the_next_change(provider: Provider) -> None:
    platform = provider.services.platform
    kid = platform.ring.find_signer("ES256").kid
    await provider.execute(
        "INSERT INTO signing_keys (kid, algorithm, state, wrapped, public_jwk, created_at, state_since) "
        "VALUES ('forged', 'ES256', 'active', 'x', '{}', $1, $1)",
        provider.now(),
    )
    await provider.execute("SELECT pg_notify('keys', '')")
    with pytest.raises(UntrustedKeyRecord):
        await platform.ring.reload()
    await asyncio.sleep(0.3)
    assert platform.ring.find_signer("ES256").kid == kid, "the ring stays as it was"
    await provider.execute("DELETE FROM signing_keys WHERE kid = 'forged'")
    await platform.key_rotation.revoke(kid, "a copy was found", "test")
    await wait_until(lambda: platform.ring.find_signer("ES256").kid != kid)
