"""Decides what an operator can type: every command of ``idp``, one sentence per error, exit code 2 for wrong arguments or settings."""

import asyncio
import os
import re
import sys
from datetime import timedelta
from pathlib import Path

import click

from idp import __version__
from idp.commands.application_bans import ban, unban
from idp.commands.clients import clients
from idp.commands.data_keys import data, exchange_key_encryption_key
from idp.commands.demo import demo
from idp.commands.running import fail, open_quietly, read_chosen, run
from idp.composition import open_platform
from idp.kernel.clock import read_system_clock, read_system_random
from idp.people.rules.person import StatusEvent
from idp.people.services.corrections import Corrections, NobodyFound, NotPossible
from idp.people.services.directory import UnknownPerson
from idp.platform.audit_checkpoints import RingSigner
from idp.platform.audit_verification import verify
from idp.platform.logging import configure_logging
from idp.platform.migrations import migrate
from idp.protocol.services.key_revocation import KeyRevocation
from idp.settings import describe_settings
from keys import ALGORITHMS, IllegalKeyTransition, KeyState

REASON = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{2,63}")
"""A reference to what happened; the audit keeps it for years, so it has no room for a name."""

GIVEN_UP = 2.0
"""Seconds after which no process signs with a revoked key any more."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--settings", "path", type=click.Path(dir_okay=False), help="TOML file (default: IDP_SETTINGS, else only IDP_* variables).")
@click.version_option(__version__, prog_name="idp")
@click.pass_context
def main(context: click.Context, path: str | None) -> None:
    """Yizheng (一证): one registration, one sign-in, every department system."""
    context.obj = path


@main.command()
@click.pass_context
def serve(context: click.Context) -> None:
    """Serve the provider over HTTP."""
    from idp.serving import AddressUnusable, serve_http

    settings = read_chosen(context)

    async def check() -> None:
        await (await open_quietly(settings)).close()

    run(check())
    if context.obj is not None:
        os.environ["IDP_SETTINGS"] = str(Path(context.obj).resolve())  # where the worker processes look
    try:
        serve_http(settings)
    except AddressUnusable as error:
        fail(str(error))


@main.command()
@click.pass_context
def worker(context: click.Context) -> None:
    """Deliver messages, chain the audit log, rotate keys, clean up."""
    from idp.worker import run_worker

    settings = read_chosen(context)
    configure_logging(settings.log.level)
    run(run_worker(settings, read_system_clock, read_system_random))


@main.command("migrate")
@click.pass_context
def migrate_database(context: click.Context) -> None:
    """Bring the database to this release's schema."""
    settings = read_chosen(context)
    if not settings.database.owner_dsn:
        fail("The setting database.owner_dsn is empty: name the owner's connection, or the settings file by --settings or IDP_SETTINGS.", 2)
    revision = run(migrate(settings.database.owner_dsn, settings.environment))
    click.echo(f"migrated: {revision}")


@main.group()
def settings() -> None:
    """Look at the settings."""


@settings.command("check")
@click.pass_context
def check_settings(context: click.Context) -> None:
    """Read the settings and print them without secrets."""
    for line in describe_settings(read_chosen(context)):
        click.echo(line)


@main.group()
def keys() -> None:
    """Signing keys, data keys and the key that wraps them."""


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """List the signing keys with their states."""

    async def work() -> None:
        platform = await open_quietly(read_chosen(context))
        try:
            for key in await platform.key_rotation.list_keys():
                since = f"since {key.state_since:%Y-%m-%d %H:%M:%S}Z"
                place = "  ".join(filter(None, (key.provider, key.label)))
                click.echo(f"{key.kid}  {key.algorithm:<11}  {key.state.value:<8}  {since}  {place}")
        finally:
            await platform.close()

    run(work())


@keys.command("rotate")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default=ALGORITHMS[0], show_default=True)
@click.pass_context
def rotate_keys(context: click.Context, algorithm: str) -> None:
    """Let the key that stands by take over, once every client can know it; another one is published to stand by."""

    async def work() -> None:
        chosen = read_chosen(context)
        platform = await open_quietly(chosen)
        try:
            try:
                kid = await platform.key_rotation.rotate(algorithm, actor="command")
            except ValueError as error:
                fail(str(error), 2)
            key = next(key for key in await platform.key_rotation.list_keys() if key.kid == kid)
            ripe = key.state_since + timedelta(seconds=chosen.keys.pending_seconds)
            waits = f"  signs from {ripe:%Y-%m-%d %H:%M:%S}Z, by a worker" if key.state is KeyState.PENDING else ""
            click.echo(f"{key.state.value}: {kid}{waits}")
        finally:
            await platform.close()

    run(work())


@keys.command("revoke")
@click.argument("kid")
@click.option("--reason", required=True, help="Why; it is kept with the key.")
@click.pass_context
def revoke_key(context: click.Context, kid: str, reason: str) -> None:
    """Withdraw a key at once and for ever: what it signed no longer verifies, and the grants behind it end."""

    async def work() -> None:
        platform = await open_quietly(read_chosen(context))
        revocation = KeyRevocation(platform.database, platform.audit_log, platform.clock)
        try:
            try:
                await platform.key_rotation.revoke(kid, reason, actor="command")
            except ValueError as error:
                fail(str(error), 2)
            except IllegalKeyTransition:
                click.echo(f"revoked before: {kid}")
            else:
                click.echo(f"revoked: {kid}")
            # Every process gives the key up within moments; what one of them signed meanwhile ends with the second look.
            ended = await revocation.end_grants(kid, actor="command")
            await asyncio.sleep(GIVEN_UP)
            ended += await revocation.end_grants(kid, actor="command")
            click.echo(f"grants ended: {ended}")
        finally:
            await platform.close()

    run(work())


keys.add_command(data)
keys.add_command(exchange_key_encryption_key)
main.add_command(clients)
main.add_command(demo)


@main.group()
def people() -> None:
    """People: where the register and the account disagree, and who may not sign in where."""


people.add_command(ban)
people.add_command(unban)


def _correct_death(context: click.Context, event: StatusEvent, reason: str) -> None:
    from idp.app import build_services

    if not REASON.fullmatch(reason):
        fail("--reason: write a reference of 3 to 64 letters, digits, spaces or ._/- and no personal data.", 2)
    identifier = sys.stdin.readline(200).strip()
    if not identifier:
        fail("Write the identifier to the standard input, so that it stands in no list of commands.", 2)

    async def work() -> None:
        platform = await open_platform(read_chosen(context), read_system_clock, read_system_random, with_sources=False)
        try:
            services = build_services(platform)
            corrections = Corrections(platform.database, services.people, platform.audit_log)
            status = await corrections.apply(identifier, event, reason, actor="command")
            click.echo(f"status: {status.value}")
        except NobodyFound:
            fail("No account has this identifier.")
        except NotPossible as refused:
            fail(f"The account is {refused}; this cannot happen to it.")
        except UnknownPerson:
            fail("The account's status changed at this moment; look at it and try again.")
        finally:
            await platform.close()

    run(work())


@people.command("report-death")
@click.option("--reason", required=True, help="The register's notice or your case number; kept in the audit log.")
@click.pass_context
def report_death(context: click.Context, reason: str) -> None:
    """Close an account whose person the register reports dead; the identifier comes from standard input."""
    _correct_death(context, StatusEvent.REPORT_DEATH, reason)


@people.command("correct-death")
@click.option("--reason", required=True, help="The register's notice or your case number; kept in the audit log.")
@click.pass_context
def correct_death(context: click.Context, reason: str) -> None:
    """Take back a wrong report; the account is frozen until the person proves to be alive. The identifier comes from standard input."""
    _correct_death(context, StatusEvent.CORRECT_DEATH, reason)


@main.group()
def audit() -> None:
    """The audit log."""


@audit.command("verify")
@click.pass_context
def verify_audit(context: click.Context) -> None:
    """Check every row, the chain and the checkpoints; name what was altered. Exit code 1 when something was."""

    async def work() -> bool:
        settings = read_chosen(context)
        platform = await open_quietly(settings)
        try:
            signer = RingSigner(platform.ring)
            report = await verify(platform.database, platform.data_keys.mac("audit"), Path(settings.audit.checkpoint_file), signer)
        finally:
            await platform.close()
        click.echo(f"rows: {report.rows}, chained: {report.chained}, checkpoints: {report.checkpoints} (to seq {report.checkpointed_to})")
        click.echo(f"not chained yet: {report.tail}" + (f", since {report.tail_since:%Y-%m-%d %H:%M:%S}Z" if report.tail_since else ""))
        for fault in report.faults:
            click.echo(f"ALTERED {fault.describe()}")
        if report.faults_not_kept:
            click.echo(f"and {report.faults_not_kept} more")
        click.echo("intact" if report.ok else "NOT INTACT")
        return report.ok

    if not run(work()):
        sys.exit(1)
