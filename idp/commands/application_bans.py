"""Decides how an operator bars a person from one application and lets them in again; the identifier comes from standard input."""

import re
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from idp.commands.running import fail, open_quietly, read_chosen, run
from idp.protocol.services.application_bans import AlreadySo, ApplicationBans, NobodyThere, NoSuchClient
from idp.sign_in.services.account_notices import AccountNotices

if TYPE_CHECKING:
    from idp.app import Services

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{2,63}")
MAX_WORDS = 40
"""Characters of the reason: it stands in a text message."""


@click.command("ban")
@click.option("--client", "client_id", required=True, help="The application's client_id.")
@click.option("--reference", required=True, help="Your case number; kept in the audit log.")
@click.option("--words", required=True, help="The legal reason in at most 40 characters: the person is told it by message.")
@click.pass_context
def ban(context: click.Context, client_id: str, reference: str, words: str) -> None:
    """Bar a person from one application: grants there end at once, everything else goes on. The identifier comes from standard input."""
    if not 1 <= len(words) <= MAX_WORDS or not words.isprintable() or "/" in words:
        fail(f"--words: write the reason in 1 to {MAX_WORDS} printable characters without a slash; it goes into a text message.", 2)
    _run(context, client_id, reference, words)


@click.command("unban")
@click.option("--client", "client_id", required=True, help="The application's client_id.")
@click.option("--reference", required=True, help="Your case number; kept in the audit log.")
@click.pass_context
def unban(context: click.Context, client_id: str, reference: str) -> None:
    """Let a person sign in at one application again. The identifier comes from standard input."""
    _run(context, client_id, reference, None)


def _run(context: click.Context, client_id: str, reference: str, words: str | None) -> None:
    if not REFERENCE.fullmatch(reference):
        fail("--reference: write 3 to 64 letters, digits, spaces or ._/- and no personal data.", 2)
    identifier = sys.stdin.readline(200).strip()
    if not identifier:
        fail("Write the identifier to the standard input, so that it stands in no list of commands.", 2)

    async def work() -> None:
        from idp.app import build_services

        platform = await open_quietly(read_chosen(context))
        try:
            services = build_services(platform)
            bans = build_bans(services)
            if words is None:
                await bans.unban(identifier, client_id, reference, actor="command")
                click.echo("unbanned")
            else:
                click.echo(f"banned, grants ended: {await bans.ban(identifier, client_id, reference, words, actor='command')}")
        except NobodyThere:
            fail("No account has this identifier.")
        except NoSuchClient:
            fail(f"There is no client {client_id}.")
        except AlreadySo:
            _say_so(banning=words is not None)
        finally:
            await platform.close()

    run(work())


def build_bans(services: "Services") -> ApplicationBans:
    """Build what bars people from one application."""
    platform = services.platform
    return ApplicationBans(
        platform.database,
        services.directory,
        services.people,
        services.sessions,
        services.logout_notices,
        AccountNotices(platform.outbox, platform.clock),
        platform.audit_log,
        platform.clock,
        platform.random,
    )


def _say_so(*, banning: bool) -> NoReturn:
    fail("The person is barred from this application already." if banning else "The person is not barred from this application.")
