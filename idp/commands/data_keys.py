"""Decides what an operator can type about data keys: making, watching and retiring them, and exchanging the key that wraps them."""

from pathlib import Path

import click

from idp.commands.running import fail, read_chosen, run, use_platform
from idp.composition import Platform
from idp.kernel.clock import read_system_random
from idp.platform import re_encryption
from idp.platform.data_key_rotation import ALL, DataKeyRefused, KeyStatus, describe_uses
from idp.platform.database import Database
from idp.platform.jobs import read_jobs
from keys import DATA_KEY_PURPOSES, make_key_encryption_key

COUNTING = 3_600.0
"""Seconds that counting the rows of one table may take."""


@click.group("data")
def data() -> None:
    """Data keys: what is stored sealed, found by index and kept in the audit."""


@data.command("rotate")
@click.argument("purpose", type=click.Choice([*DATA_KEY_PURPOSES, ALL]))
@click.pass_context
def rotate_data_key(context: click.Context, purpose: str) -> None:
    """Make a new key of the suite of keys.suite; it is used once every process knows it, and the worker brings old rows under it."""

    async def work() -> None:
        async with use_platform(context) as platform:
            try:
                created = await platform.data_key_rotation.rotate(purpose, actor="command")
            except DataKeyRefused as refused:
                fail(str(refused))
            for key in created:
                click.echo(f"pending: {key.id}  {key.suite.value}  used from {key.current_from:%Y-%m-%d %H:%M:%S}Z")

    run(work())


@data.command("status")
@click.pass_context
def show_data_keys(context: click.Context) -> None:
    """List the data keys, what is still under each, and how far the worker is. Counts every row: minutes where there are millions."""

    async def work() -> None:
        async with use_platform(context) as platform:
            counting = _open_counting(platform)
            try:
                statuses = await platform.data_key_rotation.read_status(counting)
            finally:
                await counting.close()
            for status in statuses:
                click.echo(_describe(status))
                for line in describe_uses(status.uses) if status.state == "old" else ():
                    click.echo(f"    {line}")
            progress = next((job.progress for job in await read_jobs(platform.database) if job.kind == re_encryption.KIND), "")
            click.echo(f"re-encryption: {progress or 'nothing to do yet'}")

    run(work())


@data.command("retire")
@click.argument("key_id")
@click.pass_context
def retire_data_key(context: click.Context, key_id: str) -> None:
    """Remove an old key for good; refused while anything may still need it."""

    async def work() -> None:
        async with use_platform(context) as platform:
            counting = _open_counting(platform)
            try:
                await platform.data_key_rotation.retire(key_id, "command", counting)
            except DataKeyRefused as refused:
                fail(str(refused))
            finally:
                await counting.close()
            click.echo(f"removed: {key_id}")

    run(work())


@click.command("exchange-kek")
@click.option("--new", "path", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file of the new key.")
@click.pass_context
def exchange_key_encryption_key(context: click.Context, path: Path) -> None:
    """Exchange the key-encryption key: the first run makes the file, the second, after a restart that names it, wraps every key anew."""
    settings = read_chosen(context).keys
    if not path.exists():
        try:
            make_key_encryption_key(path, read_system_random)
        except OSError as error:
            fail(f"The file {path} cannot be written: {error.strerror}.")
        click.echo(f"made: {path}")
        click.echo("Copy it to every machine, name it in keys.key_encryption_key_file and the present file in")
        click.echo("keys.previous_key_encryption_key_file, restart every process, and run this command again.")
        return
    if path.resolve() != Path(settings.key_encryption_key_file).resolve() or not settings.previous_key_encryption_key_file:
        fail(
            f"Name {path} in keys.key_encryption_key_file and the file before it in keys.previous_key_encryption_key_file, "
            "restart every process, and run this command again.",
            2,
        )

    async def work() -> None:
        async with use_platform(context) as platform:
            click.echo(f"wrapped anew: {await platform.key_exchange.rewrap(actor='command')}")
        click.echo("Take keys.previous_key_encryption_key_file out of the settings and restart; backups still need that file.")

    run(work())


def _open_counting(platform: Platform) -> Database:
    return Database(platform.settings.database.dsn, size=1, statement_timeout=COUNTING)


def _describe(status: KeyStatus) -> str:
    line = f"{status.key.id:<20}  {status.key.suite.value:<13}  {status.state:<7}  from {status.key.current_from:%Y-%m-%d %H:%M:%S}Z"
    return line if status.rests_until is None else f"{line}, needed until {status.rests_until:%Y-%m-%d %H:%M:%S}Z at least"
