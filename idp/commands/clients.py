"""Decides what an operator can do to clients: by the rules of the admin API, and also appoint who administers others by it."""

import json
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TextIO, TypeVar

import click

from idp.administration import build_administration, build_clients
from idp.commands.running import fail, run, use_platform
from idp.composition import Platform
from idp.http.problems import PROBLEMS
from idp.kernel.json_text import parse_json
from idp.protocol.rules.client import ApplicationType, AuthMethod, BadRegistration, Basis
from idp.protocol.rules.client_changes import OPERATOR, Change, ChangeState
from idp.protocol.rules.client_status import ClientStatus
from idp.protocol.rules.registration_metadata import METADATA, list_metadata
from idp.protocol.services.client_administration import ClientAdministration, NotDone, Obstacle, Outcome
from idp.protocol.services.dynamic_registration import InitialTokens

MAX_FILE: Final = 49_152
ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")

OPTIONS: Final = {
    "client_id": "CLIENT_ID",
    "client_name": "--name",
    "client_name#en": "--name-en",
    "sector": "--sector",
    "redirect_uris": "--redirect-uri",
    "post_logout_redirect_uris": "--post-logout-redirect-uri",
    "backchannel_logout_uri": "--backchannel-logout-uri",
    "frontchannel_logout_uri": "--frontchannel-logout-uri",
    "grant_types": "--grant-type",
    "requires_pkce": "--legacy-no-pkce",
    "scope": "--scope",
    "token_endpoint_auth_method": "--auth-method",
    "application_type": "--application-type",
    "minimum_acr": "--minimum-acr",
    "resources": "--resource",
    "id_token_signed_response_alg": "--id-token-alg",
    "entitlements": "--entitlement",
}
"""Metadata name → the option for it; all others are given by --metadata."""

TYPED_ALWAYS: Final = frozenset({"client_id"})

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Work = Callable[[ClientAdministration, Platform], Awaitable[None]]


@click.group()
def clients() -> None:
    """Department systems."""


def parse_entitlement(text: str) -> dict[str, object]:
    """Return the metadata of PURPOSE:BASIS:CLAIM,CLAIM[:PURPOSE IN ENGLISH]."""
    purpose, basis, claims, english = (*text.split(":", 3), "", "", "")[:4]
    if not claims or basis not in {b.value for b in Basis}:
        raise click.BadParameter("write PURPOSE:statutory_duty|consent:claim,claim or, with the purpose in English, one :PART more")
    written: dict[str, object] = {"purpose": purpose, "basis": basis, "claims": [c for c in claims.split(",") if c]}
    return written | ({"purpose_en": english.strip()} if english.strip() else {})


def _take_metadata(command: Decorated) -> Decorated:
    """Give a command the options of metadata."""
    for option in reversed(
        (
            click.option("--metadata", type=click.File(encoding="utf-8"), help="JSON object of metadata by name; - reads standard input."),
            click.option("--name", help="What people see while they sign in."),
            click.option("--name-en", help="The same in English."),
            click.option("--sector", help="Clients of one sector know a person by the same sub."),
            click.option("--redirect-uri", "redirect_uris", multiple=True),
            click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True),
            click.option("--backchannel-logout-uri", help="Where its server is told that a sign-in ended."),
            click.option("--frontchannel-logout-uri", help="Where a browser tells it, when its server cannot be told."),
            click.option("--grant-type", "grant_types", multiple=True, help="Default: authorization_code."),
            click.option("--scope", "scopes", multiple=True, help="Beside openid."),
            click.option("--entitlement", "entitlements", multiple=True, metavar="PURPOSE:BASIS:CLAIM,CLAIM[:PURPOSE IN ENGLISH]"),
            click.option("--auth-method", type=click.Choice([m.value for m in AuthMethod]), help="Default: client_secret_basic."),
            click.option("--application-type", type=click.Choice([t.value for t in ApplicationType]), help="Default: web."),
            click.option("--minimum-acr", type=click.Choice(["low", "substantial", "high"]), help="Default: low."),
            click.option("--id-token-alg", type=click.Choice(METADATA["id_token_signed_response_alg"].choices), help="Default: ES256."),
            click.option("--resource", "resources", multiple=True, help="The address this client is known by as a resource server."),
            click.option("--legacy-no-pkce", is_flag=True, help="For a confidential web client that cannot do PKCE."),
        )
    ):
        command = option(command)
    return command


_take_actor = click.option("--actor", default="command", show_default=True, help="Your name in the audit; the second person has another.")


def _read_actor(actor: str) -> str:
    if not ACTOR.fullmatch(actor):
        fail("--actor: write 1 to 64 letters, digits, dots, hyphens or underscores.", 2)
    return OPERATOR + actor


def _read_metadata(given: dict[str, Any]) -> tuple[dict[str, object], Collection[str]]:
    """Return the metadata of file and options, and which of them a message names by the option: those typed so, and without a file all.

    An option comes before the file.
    """
    said: dict[str, object] = {}
    file: TextIO | None = given["metadata"]
    if file is not None:
        try:
            value = parse_json(file.read(MAX_FILE + 1), MAX_FILE)
        except (ValueError, UnicodeDecodeError):
            value = None
        if not isinstance(value, dict):
            fail("--metadata: write one JSON object, each name once.", 2)
        said.update(value)
    chosen = {
        "client_name": given["name"],
        "client_name#en": given["name_en"],
        "sector": given["sector"],
        "redirect_uris": list(given["redirect_uris"]),
        "post_logout_redirect_uris": list(given["post_logout_redirect_uris"]),
        "backchannel_logout_uri": given["backchannel_logout_uri"],
        "frontchannel_logout_uri": given["frontchannel_logout_uri"],
        "grant_types": list(given["grant_types"]),
        "scope": " ".join(given["scopes"]),
        "entitlements": [parse_entitlement(text) for text in given["entitlements"]],
        "token_endpoint_auth_method": given["auth_method"],
        "application_type": given["application_type"],
        "minimum_acr": given["minimum_acr"] and f"urn:yizheng:acr:{given['minimum_acr']}",
        "id_token_signed_response_alg": given["id_token_alg"],
        "resources": list(given["resources"]),
    }
    typed = {name: value for name, value in chosen.items() if value} | ({"requires_pkce": False} if given["legacy_no_pkce"] else {})
    return said | typed, OPTIONS if file is None else TYPED_ALWAYS | set(typed)


def _name(field: str, typed: Collection[str]) -> str:
    return OPTIONS[field] if field in typed and field in OPTIONS else field


def _administer(context: click.Context, work: Work, typed: Collection[str] = TYPED_ALWAYS) -> None:
    """Run ``work``; what it may not do is one sentence, which names the metadata that were ``typed`` as options by these."""

    async def administer() -> None:
        async with use_platform(context) as platform:
            try:
                await work(build_administration(platform, build_clients(platform)), platform)
            except BadRegistration as error:
                fail(f"{_name(error.field, typed)}: {error.reason}.", 2)
            except NotDone as reason:
                if reason.obstacle is Obstacle.CLIENT_EXISTS:
                    fail("CLIENT_ID: there is a client of this name already.", 2)
                fail(f"{PROBLEMS[reason.obstacle.value][1]}{f': {reason.fact}' if reason.fact else ''}.")

    run(administer())


def _show(outcome: Outcome) -> None:
    click.echo(f"client_id: {outcome.client.client_id}")
    click.echo(f"status: {outcome.client.status}")
    if outcome.secret is not None:
        click.echo(f"client_secret: {outcome.secret}")
    if outcome.waits is not None:
        click.echo(f"change: {outcome.waits.id} waits for a second person: idp clients approve {outcome.waits.id} --actor NAME")


@clients.command("add")
@click.argument("client_id")
@_take_metadata
@click.option("--live", is_flag=True, help="Real people may use it; in production once a second person has approved it.")
@_take_actor
@click.pass_context  # type: ignore[arg-type]
def add_client(context: click.Context, client_id: str, live: bool, actor: str, **given: Any) -> None:
    """Register a department's system and print its secret once."""
    (metadata, typed), name = _read_metadata(given), _read_actor(actor)
    for needed in ("client_name", "sector"):
        if needed not in metadata:
            fail(f"{_name(needed, typed)}: is missing.", 2)

    async def work(administration: ClientAdministration, platform: Platform) -> None:
        # Where no real people are, nobody has to agree.
        at_once = live and platform.settings.environment != "production"
        status = ClientStatus.LIVE if at_once else ClientStatus.SANDBOX
        outcome = await administration.add(client_id, metadata, name, status=status)
        if live and not at_once:
            outcome = replace(await administration.go_live(client_id, name), secret=outcome.secret)
        _show(outcome)

    _administer(context, work, typed)


@clients.command("change")
@click.argument("client_id")
@_take_metadata
@click.option("--unset", multiple=True, metavar="NAME", help="Metadata that get their default again.")
@_take_actor
@click.pass_context  # type: ignore[arg-type]
def change_client(context: click.Context, client_id: str, unset: tuple[str, ...], actor: str, **given: Any) -> None:
    """Change a client; on a live one most changes wait for a second person."""
    (metadata, typed), name = _read_metadata(given), _read_actor(actor)
    wanted = {**dict.fromkeys(unset), **metadata}
    if not wanted:
        fail("There is nothing to change; name an option, --metadata or --unset.", 2)

    async def work(administration: ClientAdministration, _: Platform) -> None:
        _show(await administration.change(client_id, wanted, None, name))

    _administer(context, work, set(typed) - set(unset))


@clients.command("show")
@click.argument("client_id")
@click.pass_context
def show_client(context: click.Context, client_id: str) -> None:
    """Print a client's metadata as JSON, as --metadata reads them."""

    async def work(administration: ClientAdministration, _: Platform) -> None:
        client = await administration.read(client_id)
        click.echo(f"status: {client.status}, version: {client.version}", err=True)
        click.echo(json.dumps(list_metadata(client), ensure_ascii=False, indent=2))

    _administer(context, work)


@clients.command("list")
@click.pass_context
def list_clients(context: click.Context) -> None:
    """List the registered clients."""

    async def work(administration: ClientAdministration, _: Platform) -> None:
        rows: list[tuple[str, str, str, str]] = []
        while page := await administration.list_clients(rows[-1][0] if rows else "", 200):
            rows += [(client.client_id, client.status, client.auth_method.value, client.name) for client in page]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for *cells, name in rows:
            click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), name]))

    _administer(context, work)


@clients.command("rotate-secret")
@click.argument("client_id")
@click.option("--overlap", type=click.IntRange(0, 2_592_000), default=0, show_default=True, help="Seconds that the old secret counts too.")
@_take_actor
@click.pass_context
def rotate_secret(context: click.Context, client_id: str, overlap: int, actor: str) -> None:
    """Make a new secret and print it once; of a live client it waits for a second person."""
    name = _read_actor(actor)

    async def work(administration: ClientAdministration, _: Platform) -> None:
        _show(await administration.rotate_secret(client_id, timedelta(seconds=overlap), name))

    _administer(context, work)


def _add_action(word: str, help_text: str, act: Callable[[ClientAdministration, str, str], Awaitable[Outcome]]) -> None:
    @clients.command(word, help=help_text)
    @click.argument("client_id")
    @_take_actor
    @click.pass_context
    def command(context: click.Context, client_id: str, actor: str) -> None:
        name = _read_actor(actor)

        async def work(administration: ClientAdministration, _: Platform) -> None:
            _show(await act(administration, client_id, name))

        _administer(context, work)


_add_action("suspend", "Stop a client at once; what it holds ends with it.", ClientAdministration.suspend)
_add_action("resume", "Let a suspended client go on; one that was live waits for a second person.", ClientAdministration.resume)
_add_action("retire", "End a client for ever; its id is not given again.", ClientAdministration.retire)
_add_action("go-live", "Ask that real people may use a client; a second person decides.", ClientAdministration.go_live)


@clients.command("changes")
@click.option("--state", type=click.Choice([state.value for state in ChangeState]), default=ChangeState.PENDING.value, show_default=True)
@click.option("--client", "client_id", help="Of this client alone.")
@click.pass_context
def list_changes(context: click.Context, state: str, client_id: str | None) -> None:
    """List what waits for a second person, or waited."""

    async def work(administration: ClientAdministration, _: Platform) -> None:
        if client_id is not None:
            await administration.read(client_id)  # a mistyped id is named, not answered as if nothing waited
        after = ""
        while page := await administration.list_changes(after, ChangeState(state), client_id, 200):
            for change in page:
                _show_change(change)
            after = page[-1].id
        if not after:
            click.echo(f"no change is {state}")

    _administer(context, work)


def _show_change(change: Change) -> None:
    decided = f"  by {change.decided_by}" if change.decided_by else ""
    asked = f"asked by {change.asked_by} at {change.asked_at:%Y-%m-%d %H:%M:%S}Z"
    click.echo(f"{change.id}  {change.client_id}  {change.kind.value}  {change.state.value}{decided}  {asked}")
    for name, value in change.wanted.items():
        click.echo(f"    {name}: {json.dumps(value, ensure_ascii=False)}")


@clients.command("take-secret")
@click.argument("change_id")
@_take_actor
@click.pass_context
def take_secret(context: click.Context, change_id: str, actor: str) -> None:
    """Make the secret that somebody else approved and print it once; for whoever asked for it."""
    name = _read_actor(actor)

    async def work(administration: ClientAdministration, _: Platform) -> None:
        _show(await administration.take_secret(change_id, name))

    _administer(context, work)


@clients.command("approve")
@click.argument("change_id")
@_take_actor
@click.pass_context
def approve_change(context: click.Context, change_id: str, actor: str) -> None:
    """Do what somebody else asked for."""
    name = _read_actor(actor)

    async def work(administration: ClientAdministration, _: Platform) -> None:
        _show(await administration.approve(change_id, name))

    _administer(context, work)


@clients.command("refuse")
@click.argument("change_id")
@click.option("--reason", required=True, help="A reference, no personal data; kept with the change.")
@_take_actor
@click.pass_context
def refuse_change(context: click.Context, change_id: str, reason: str, actor: str) -> None:
    """Leave things as they are; whoever asked takes it back in the same way."""
    name = _read_actor(actor)
    if not 1 <= len(reason) <= 200 or not reason.isprintable():
        fail("--reason: write 1 to 200 printable characters.", 2)

    async def work(administration: ClientAdministration, _: Platform) -> None:
        _show(await administration.refuse(change_id, reason, name))

    _administer(context, work)


@clients.command("initial-token")
@click.option("--label", required=True, help="Whose token it is; the audit of what is registered with it names it.")
@click.option("--uses", type=click.IntRange(1, 1_000), default=1, show_default=True)
@click.option("--hours", type=click.IntRange(1, 8_760), default=24, show_default=True)
@_take_actor
@click.pass_context
def issue_initial_token(context: click.Context, label: str, uses: int, hours: int, actor: str) -> None:
    """Print a token with which somebody registers clients by themselves (client_registration.mode)."""
    name = _read_actor(actor)
    if not LABEL.fullmatch(label):
        fail("--label: write 1 to 64 letters, digits, spaces, dots, hyphens or underscores.", 2)

    async def work() -> None:
        async with use_platform(context) as platform:
            if platform.settings.client_registration.mode == "off":
                fail("client_registration.mode is off, so nobody can register with a token; set it to token first.")
            tokens = InitialTokens(platform.audit_log, platform.clock, platform.random)
            async with platform.database.transaction() as tx:
                token = await tokens.issue(tx, label, uses, timedelta(hours=hours), actor=name)
            click.echo(f"initial_access_token: {token}")

    run(work())
