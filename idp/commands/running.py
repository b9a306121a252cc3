"""Decides how a command runs and fails: on its own platform, one sentence per error, exit code 2 for wrong arguments or settings."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

import click

from idp.composition import Platform, SettingRefused, StartRefused, describe_unusable_dsn, open_platform
from idp.kernel.clock import read_system_clock, read_system_random
from idp.platform.database import DatabaseRefused, DatabaseUnavailable, UnusableDsn
from idp.platform.key_rotation import RotationUnderWay, UnknownKey
from idp.platform.migrations import MigrationFailed
from idp.settings import Settings, SettingsError, read_settings
from keys import IllegalKeyTransition, UnusableToken

Value = TypeVar("Value")


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Tell the operator what is wrong and stop."""
    click.echo(f"idp: {sentence}", err=True)
    sys.exit(code)


def read_chosen(context: click.Context) -> Settings:
    """Return the settings that the operator named."""
    try:
        return read_settings(context.obj)
    except SettingsError as error:
        fail(str(error), 2)


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """Return what ``work`` returns, or say in one sentence why it did not."""
    try:
        return asyncio.run(work)
    except SettingRefused as error:
        fail(str(error), 2)
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


async def open_quietly(settings: Settings) -> Platform:
    """Return a platform that asks no authority; whoever opens it closes it."""
    return await open_platform(settings, read_system_clock, read_system_random, with_sources=False)


@asynccontextmanager
async def use_platform(context: click.Context) -> AsyncIterator[Platform]:
    """Open the platform for one command."""
    platform = await open_quietly(read_chosen(context))
    try:
        yield platform
    finally:
        await platform.close()
