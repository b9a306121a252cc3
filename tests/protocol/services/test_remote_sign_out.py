"""Whoever ends a sign-in ends what hangs on it, also what is being redeemed or opened at that moment."""

import asyncio

import pytest

from idp.commands.application_bans import build_bans
from idp.kernel.audit_events import Place
from idp.kernel.session_endings import LEAVES_OFFLINE_ACCESS
from idp.people.rules.person import Status, StatusEvent
from idp.sign_in.rules.account_history import ELSEWHERE, PASSKEY_REMOVED, PASSWORD_CHANGED
from idp.sign_in.rules.session import hash_session_id
from tests.support.provider import SESSION, Provider
from tests.support.waiting import wait_until

KEEPS = ("authorization_code", "refresh_token")
WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted"


async def refresh(provider: Provider, client_id: str, token: str) -> int:
    return (await provider.post("/token", {"grant_type": "refresh_token", "refresh_token": token}, client_id)).status_code


@pytest.mark.parametrize(
    ("reason", "status"),
    [(ELSEWHERE, 400), (PASSWORD_CHANGED, 400), (PASSKEY_REMOVED, 400), *((reason, 200) for reason in LEAVES_OFFLINE_ACCESS)],
)
async def test_a_code_redeemed_while_its_sign_in_is_being_ended_leaves_no_offline_access(
    provider: Provider, reason: str, status: int
) -> None:
    """Core §11: offline access outlives what the browser itself does, and nothing else."""
    client = await provider.add_client(f"redeemed-{abs(hash(reason))}", grant_types=KEEPS)
    cookies = await provider.open_session(await provider.add_person())
    landing = await provider.authorize(client, cookies, scope="openid offline_access")
    async with provider.services.platform.database.transaction() as tx:
        await provider.services.sessions.end_lineage(tx, hash_session_id(cookies[SESSION]), reason)
        tokens = (await provider.redeem(client, landing)).json()  # does not see it yet, and is not seen
    assert await refresh(provider, client, tokens["refresh_token"]) == status


async def test_a_code_redeemed_while_a_ban_is_being_written_leaves_nothing_when_it_is_lifted(provider: Provider) -> None:
    person = await provider.add_person()
    client = await provider.add_client("redeemed-banned", grant_types=KEEPS)
    landing = await provider.authorize(client, await provider.open_session(person), scope="openid offline_access")
    people = provider.services.people
    async with provider.services.platform.database.transaction() as tx:
        await people.change_status(tx, person.person_id, Status.ACTIVE, StatusEvent.BAN)
        tokens = (await provider.redeem(client, landing)).json()
    assert await refresh(provider, client, tokens["refresh_token"]) == 400
    for status, event in ((Status.BANNED, StatusEvent.REQUEST_UNBAN), (Status.UNBAN_REQUESTED, StatusEvent.APPROVE_UNBAN)):
        async with provider.services.platform.database.transaction() as tx:
            await people.change_status(tx, person.person_id, status, event)
    assert await refresh(provider, client, tokens["refresh_token"]) == 400


async def test_a_code_redeemed_while_one_is_barred_from_an_application_leaves_nothing_when_that_ends(provider: Provider) -> None:
    person = await provider.add_person()
    client = await provider.add_client("redeemed-barred", grant_types=KEEPS)
    cookies = await provider.open_session(person)
    bans = build_bans(provider.services)
    await bans.ban(person.document, client, "case 1", "synthetic", actor="officer")
    await provider.execute("UPDATE people SET barred_from = NULL WHERE id = $1", person.person_id)  # as a redemption still sees it
    tokens = await provider.get_tokens(client, cookies, scope="openid offline_access")
    await provider.execute("UPDATE people SET barred_from = ARRAY[$2] WHERE id = $1", person.person_id, client)
    assert await refresh(provider, client, tokens["refresh_token"]) == 400
    await bans.unban(person.document, client, "case 1", actor="officer")
    assert await refresh(provider, client, tokens["refresh_token"]) == 400


async def test_a_session_put_in_the_place_of_one_that_is_being_ended_ends_too(provider: Provider) -> None:
    person, sessions = await provider.add_person(), provider.services.sessions
    database = provider.services.platform.database
    cookies = await provider.open_session(person)
    old = await sessions.read(cookies[SESSION])
    assert old is not None
    async with database.transaction() as tx:
        opened = await sessions.open(tx, person.person_id, old.proved, None, Place("127.0.0.1"), replaces=old)

        async def end() -> bool:
            async with database.transaction() as other:
                return await sessions.end_lineage(other, old.lineage, ELSEWHERE)

        ending = asyncio.create_task(end())

        async def waits() -> bool:
            return bool(await database.fetch(WAITING))

        await wait_until(waits)
    assert await ending
    assert await sessions.read(opened.cookie) is None
