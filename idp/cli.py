"""Decides what an operator can type: every command of ``idp``, one sentence per error, exit code 2 for wrong arguments or settings."""

import asyncio
import os
import re
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from idp import __version__
from idp.composition import Platform, SettingRefused, StartRefused, describe_unusable_dsn, open_platform
from idp.kernel.clock import read_system_clock, read_system_random
from idp.kernel.levels import Acr
from idp.people.rules.person import StatusEvent
from idp.people.services.corrections import Corrections, NobodyFound, NotPossible
from idp.people.services.directory import UnknownPerson
from idp.platform.audit_checkpoints import RingSigner
from idp.platform.audit_verification import verify
from idp.platform.database import DatabaseRefused, DatabaseUnavailable, UnusableDsn
from idp.platform.key_rotation import RotationUnderWay, UnknownKey
from idp.platform.logging import configure_logging
from idp.platform.migrations import MigrationFailed, migrate
from idp.protocol.rules.client import ApplicationType, AuthMethod, BadRegistration, Basis, Client, Entitlement
from idp.protocol.rules.client_metadata import LogoutAddresses
from idp.protocol.services.clients import Clients
from idp.protocol.services.key_revocation import KeyRevocation
from idp.settings import Settings, SettingsError, describe_settings, read_settings
from keys import ALGORITHMS, IllegalKeyTransition, UnusableToken

Value = TypeVar("Value")

REASON = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{2,63}")
"""A reference to what happened; the audit keeps it for years, so it has no room for a name."""

GIVEN_UP = 2.0
"""Seconds after which no process signs with a revoked key any more."""

OPTIONS = {
    "client_id": "CLIENT_ID",
    "client_name": "--name",
    "sector": "--sector",
    "redirect_uris": "--redirect-uri",
    "post_logout_redirect_uris": "--post-logout-redirect-uri",
    "backchannel_logout_uri": "--backchannel-logout-uri",
    "frontchannel_logout_uri": "--frontchannel-logout-uri",
    "grant_types": "--grant-type",
    "requires_pkce": "--legacy-no-pkce",
    "scope": "--scope",
    "id_token_signed_response_alg": "--id-token-alg",
    "entitlements": "--entitlement",
}
"""Registered value → what the operator typed."""


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Tell the operator what is wrong and stop."""
    click.echo(f"idp: {sentence}", err=True)
    sys.exit(code)


def _read(context: click.Context) -> Settings:
    try:
        return read_settings(context.obj)
    except SettingsError as error:
        fail(str(error), 2)


def _run(work: Coroutine[Any, Any, Value]) -> Value:
    try:
        return asyncio.run(work)
    except SettingRefused as error:
        fail(str(error), 2)
    except BadRegistration as error:
        fail(f"{OPTIONS.get(error.field, error.field)}: {error.reason}.", 2)
    except (StartRefused, MigrationFailed, UnknownKey, RotationUnderWay, IllegalKeyTransition) as error:
        fail(str(error))
    except UnusableToken as error:
        fail(f"The PKCS #11 device did not do it: {error}.")
    except UnusableDsn:
        fail(describe_unusable_dsn("database.owner_dsn"), 2)  # the service's own was refused at its start
    except DatabaseUnavailable:
        fail("The database does not answer.")
    except DatabaseRefused as error:
        fail(f"PostgreSQL refused: {str(error).splitlines()[0].rstrip('.')}.")
    except KeyboardInterrupt:
        sys.exit(130)


async def _with_platform(settings: Settings) -> Platform:
    return await open_platform(settings, read_system_clock, read_system_random, with_sources=False)


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

    settings = _read(context)

    async def check() -> None:
        await (await _with_platform(settings)).close()

    _run(check())
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

    settings = _read(context)
    configure_logging(settings.log.level)
    _run(run_worker(settings, read_system_clock, read_system_random))


@main.command()
@click.option("--port", type=click.IntRange(1024, 65_500), default=8000, show_default=True, help="The departments take the next two ports.")
@click.option("--reset", is_flag=True, help="Forget everything the demo has stored and begin anew.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Where the demo keeps its data (default: var/demo).")
def demo(port: int, reset: bool, data: Path | None) -> None:
    """Run a whole province on this machine: provider, worker, two departments, synthetic people."""
    from idp.demo.supervisor import DemoFailed, run_demo

    try:
        run_demo(port=port, reset=reset, data=data, announce=lambda line: click.echo(line))
    except DemoFailed as error:
        fail(str(error))


@main.command("migrate")
@click.pass_context
def migrate_database(context: click.Context) -> None:
    """Bring the database to this release's schema."""
    settings = _read(context)
    if not settings.database.owner_dsn:
        fail("The setting database.owner_dsn is empty; name the owner's connection.", 2)
    revision = _run(migrate(settings.database.owner_dsn, settings.environment))
    click.echo(f"migrated: {revision}")


@main.group()
def settings() -> None:
    """Look at the settings."""


@settings.command("check")
@click.pass_context
def check_settings(context: click.Context) -> None:
    """Read the settings and print them without secrets."""
    for line in describe_settings(_read(context)):
        click.echo(line)


@main.group()
def keys() -> None:
    """Signing keys."""


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """List the signing keys with their states."""

    async def work() -> None:
        platform = await _with_platform(_read(context))
        try:
            for key in await platform.key_rotation.list_keys():
                since = f"since {key.state_since:%Y-%m-%d %H:%M:%S}Z"
                place = "  ".join(filter(None, (key.provider, key.label)))
                click.echo(f"{key.kid}  {key.algorithm:<11}  {key.state.value:<8}  {since}  {place}")
        finally:
            await platform.close()

    _run(work())


@keys.command("rotate")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default=ALGORITHMS[0], show_default=True)
@click.pass_context
def rotate_keys(context: click.Context, algorithm: str) -> None:
    """Publish a new key; it signs once every client can know it."""

    async def work() -> None:
        platform = await _with_platform(_read(context))
        try:
            try:
                kid = await platform.key_rotation.rotate(algorithm, actor="command")
            except ValueError as error:
                fail(str(error), 2)
            click.echo(f"pending: {kid}")
        finally:
            await platform.close()

    _run(work())


@keys.command("revoke")
@click.argument("kid")
@click.option("--reason", required=True, help="Why; it is kept with the key.")
@click.pass_context
def revoke_key(context: click.Context, kid: str, reason: str) -> None:
    """Withdraw a key at once and for ever: what it signed no longer verifies, and the grants behind it end."""

    async def work() -> None:
        platform = await _with_platform(_read(context))
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

    _run(work())


@main.group()
def clients() -> None:
    """Department systems."""


def _parse_entitlement(text: str) -> Entitlement:
    purpose, basis, claims, english = (*text.split(":", 3), "", "", "")[:4]
    if not claims or basis not in {b.value for b in Basis}:
        raise click.BadParameter("write PURPOSE:statutory_duty|consent:claim,claim or, with the purpose in English, one :PART more")
    return Entitlement(purpose, Basis(basis), tuple(c for c in claims.split(",") if c), purpose_en=english.strip())


def _make_registry(platform: Platform) -> Clients:
    secrets, sealer = platform.data_keys.mac("client_secrets"), platform.data_keys.sealer("client_secrets")
    return Clients(secrets, sealer, platform.audit_log, platform.clock, platform.random)


@clients.command("add")
@click.argument("client_id")
@click.option("--name", required=True, help="What people see while they sign in.")
@click.option("--name-en", default="", help="The same in English.")
@click.option("--sector", required=True, help="Clients of one sector know a person by the same sub.")
@click.option("--redirect-uri", "redirect_uris", multiple=True)
@click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True)
@click.option("--backchannel-logout-uri", help="Where its server is told that a sign-in ended.")
@click.option("--frontchannel-logout-uri", help="Where a browser tells it, when its server cannot be told.")
@click.option("--grant-type", "grant_types", multiple=True, default=("authorization_code",), show_default=True)
@click.option("--scope", "scopes", multiple=True, help="Beside openid.")
@click.option("--entitlement", "entitlements", multiple=True, metavar="PURPOSE:BASIS:CLAIM,CLAIM[:PURPOSE IN ENGLISH]")
@click.option("--auth-method", type=click.Choice([m.value for m in AuthMethod]), default=AuthMethod.SECRET_BASIC.value, show_default=True)
@click.option("--application-type", type=click.Choice([t.value for t in ApplicationType]), default="web", show_default=True)
@click.option("--minimum-acr", type=click.Choice(["low", "substantial"]), default="low", show_default=True)
@click.option("--id-token-alg", type=click.Choice(ALGORITHMS), default=ALGORITHMS[0], show_default=True)
@click.option("--resource", "resources", multiple=True, help="The address this client is known by as a resource server.")
@click.option("--legacy-no-pkce", is_flag=True, help="For a confidential web client that cannot do PKCE.")
@click.option("--live", is_flag=True, help="Real people may use it; without it, a production provider refuses the client.")
@click.pass_context  # type: ignore[arg-type]
def add_client(context: click.Context, client_id: str, **given: Any) -> None:
    """Register a department's system and print its secret once."""
    registration = Client(
        client_id=client_id,
        name=given["name"],
        name_en=given["name_en"],
        sector=given["sector"],
        redirect_uris=given["redirect_uris"],
        post_logout_redirect_uris=given["post_logout_redirect_uris"],
        logout=LogoutAddresses(
            backchannel_logout_uri=given["backchannel_logout_uri"], frontchannel_logout_uri=given["frontchannel_logout_uri"]
        ),
        grant_types=frozenset(given["grant_types"]),
        scopes=given["scopes"],
        entitlements=tuple(_parse_entitlement(text) for text in given["entitlements"]),
        auth_method=AuthMethod(given["auth_method"]),
        application_type=ApplicationType(given["application_type"]),
        minimum_acr=Acr(f"urn:yizheng:acr:{given['minimum_acr']}"),
        id_token_algorithm=given["id_token_alg"],
        resources=given["resources"],
        requires_pkce=not given["legacy_no_pkce"],
        status="live" if given["live"] else "sandbox",
    )

    async def work() -> None:
        platform = await _with_platform(_read(context))
        try:
            registry = _make_registry(platform)
            async with platform.database.transaction() as tx:
                secret = await registry.add(tx, registration, actor="command")
            click.echo(f"client_id: {client_id}")
            if secret is not None:
                click.echo(f"client_secret: {secret}")
        finally:
            await platform.close()

    _run(work())


@clients.command("list")
@click.pass_context
def list_clients(context: click.Context) -> None:
    """List the registered clients."""

    async def work() -> None:
        platform = await _with_platform(_read(context))
        try:
            registry = _make_registry(platform)
            after = ""
            while True:
                async with platform.database.transaction() as tx:
                    page = await registry.list(tx, after)
                for client in page:
                    click.echo(f"{client.client_id}  {client.status:<9}  {client.auth_method.value:<19}  {client.name}")
                if not page:
                    return
                after = page[-1].client_id
        finally:
            await platform.close()

    _run(work())


@main.group()
def people() -> None:
    """People, where the register and the account disagree."""


def _correct_death(context: click.Context, event: StatusEvent, reason: str) -> None:
    from idp.app import build_services

    if not REASON.fullmatch(reason):
        fail("--reason: write a reference of 3 to 64 letters, digits, spaces or ._/- and no personal data.", 2)
    identifier = sys.stdin.readline(200).strip()
    if not identifier:
        fail("Write the identifier to the standard input, so that it stands in no list of commands.", 2)

    async def work() -> None:
        platform = await open_platform(_read(context), read_system_clock, read_system_random, with_sources=False)
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

    _run(work())


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
        settings = _read(context)
        platform = await _with_platform(settings)
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

    if not _run(work()):
        sys.exit(1)
