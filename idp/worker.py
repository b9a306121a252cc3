"""Decides what the worker process does beside the serving ones: messages leave, audit is chained and marked, keys and tables are kept."""

import asyncio
import contextlib
import hashlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from idp.authenticators.services.forgetting import forget_past
from idp.composition import Platform, SettingRefused, open_platform
from idp.enrolment import build_waiting
from idp.kernel.clock import Clock, Random
from idp.kernel.ids import MessageId
from idp.logout import build_logout_delivery
from idp.other_devices import make_ping_handlers
from idp.people.services.forgetting import forget_unowned
from idp.platform.audit_chain import Sequencer, read_head
from idp.platform.audit_checkpoints import CheckpointFile, RingSigner
from idp.platform.jobs import Job, JobState, ensure_jobs, run_due
from idp.platform.logging import get_logger
from idp.platform.outbox import Attempt, DeliveryRefused, Handler, Outcome
from idp.platform.outbox_delivery import OutboxDelivery
from idp.platform.partitions import ensure_partitions
from idp.platform.re_encryption import make_re_encryption
from idp.platform.transients.postgres import remove_expired
from idp.protocol.services.logout_delivery import LogoutDelivery
from idp.protocol.services.logout_notices import KIND as LOGOUT
from idp.settings import Settings, SmsSettings
from sms import TEMPLATES, Action, AliyunGateway, Gateway, ShortMessage, SmsRefused, SmsUnavailable

TICK = 1.0
"""Seconds between two looks for rows to chain and jobs to run."""

CLEANING_BATCH = 1_000
CLEANING_BATCHES = 500
"""Expired transients are removed in so many statements of so many rows, then the other jobs have their turn."""

LONGEST_BACKOFF = 30.0
STOP_TIMEOUT = 30.0
"""Seconds that the loops may take to end once asked to."""

Loop = Callable[[asyncio.Event], Awaitable[None]]


class SmsPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an outbox message of kind ``sms`` holds."""

    phone: str
    template: str
    parameters: dict[str, str]


async def run_worker(settings: Settings, clock: Clock, random: Random, *, stop: asyncio.Event | None = None) -> None:
    """Work until SIGTERM, SIGINT or ``stop``; losing the database only pauses the work. Raises StartRefused as ``open_platform``."""
    stop = stop or asyncio.Event()
    platform = await open_platform(settings, clock, random)
    log = get_logger("worker")
    try:
        async with _open_gateway(settings.sms, settings.environment, clock, random) as gateway:
            handlers = {"sms": make_sms_handler(gateway, log)} if gateway else {}
            loops = make_loops(platform, handlers, log)
            with _stop_on_signal(stop):
                log.info("worker started", loops=sorted(loops))
                await run_loops(loops, stop, log)
        log.info("worker stopped")
    finally:
        await platform.close()


def make_loops(platform: Platform, handlers: Mapping[str, Handler], log: Any) -> dict[str, Loop]:
    """Return what the worker does for ever, by name."""
    sequencer = Sequencer(platform.database, platform.clock, platform.settings.keys.suite)
    logouts = build_logout_delivery(platform)
    to_departments = {LOGOUT: logouts.deliver, **make_ping_handlers(platform)}
    jobs = [*make_jobs(platform), *make_logout_jobs(logouts)]

    def note(attempt: Attempt) -> None:
        write = log.info if attempt.outcome in (Outcome.DELIVERED, Outcome.RETRIED) else log.warning
        write("message", kind=attempt.kind, outcome=attempt.outcome.value, attempt=attempt.number)

    checkpoints = CheckpointFile(Path(platform.settings.audit.checkpoint_file))

    async def chain(stop: asyncio.Event) -> None:
        while not stop.is_set():
            # The first rows of a new installation get their checkpoint at once: until there is one, verification must doubt them.
            if await sequencer.run_once() and await asyncio.to_thread(checkpoints.is_empty):
                await mark_chain(platform)
            await _pause(stop, TICK)

    async def work(stop: asyncio.Event) -> None:
        await ensure_jobs(platform.database, jobs, platform.clock)
        while not stop.is_set():
            for run in await run_due(platform.database, jobs, platform.clock):
                if run.failure is not None:
                    log.error("job failed", job=run.kind, exc_info=run.failure)
            await _pause(stop, TICK)

    return {
        "outbox": OutboxDelivery(platform.outbox, platform.database, handlers, platform.clock, note).run,
        # Departments have slots of their own: one that does not answer never holds up a person's code.
        "departments": OutboxDelivery(platform.outbox, platform.database, to_departments, platform.clock, note).run,
        "audit chain": chain,
        "jobs": work,
        "keys": platform.ring.follow,
        "data keys": platform.current_data_keys.follow,
    }


async def mark_chain(platform: Platform) -> int | None:
    """Write a checkpoint of the chain as it stands; return its seq, None while nothing is chained."""
    head = await read_head(platform.database)
    if head is None:
        return None
    checkpoints = CheckpointFile(Path(platform.settings.audit.checkpoint_file))
    await asyncio.to_thread(checkpoints.append, head, RingSigner(platform.ring), platform.clock)
    return head.seq


def make_jobs(platform: Platform) -> list[Job]:
    """Return the periodic work."""
    settings, database, clock = platform.settings, platform.database, platform.clock

    async def mark(state: JobState) -> JobState:
        seq = await mark_chain(platform)
        return state if seq is None else JobState(progress=f"seq {seq}")

    async def make_partitions(state: JobState) -> JobState:
        made = await ensure_partitions(database, clock())
        return JobState(progress=", ".join(made)) if made else state

    async def rotate_keys(_: JobState) -> JobState:
        await platform.key_rotation.advance()
        return JobState()

    async def remove_transients(_: JobState) -> JobState:
        # Bounded well below the lease; the next run begins at once, so cleaning keeps up with whoever fills the table.
        removed = await remove_expired(database, clock(), batch=CLEANING_BATCH, batches=CLEANING_BATCHES)
        return JobState(progress=f"{removed} removed", again=removed >= CLEANING_BATCH * CLEANING_BATCHES)

    async def forget(_: JobState) -> JobState:
        left = [await forget_past(database, clock()), await forget_unowned(database, clock())]
        return JobState(again=any(left))

    waiting = build_waiting(platform)

    async def tell_resumed(state: JobState) -> JobState:
        told = await waiting.tell_resumed()
        return JobState(progress=f"{told} told") if told else state

    async def drop_registrations(_: JobState) -> JobState:
        return JobState(progress=f"{await waiting.drop_expired()} dropped")

    # Far more often than a key has to wait, so that a rotation is at most a tenth late.
    rotation_every = timedelta(seconds=max(1.0, min(30.0, settings.keys.pending_seconds / 10)))
    jobs = [
        # A checkpoint takes milliseconds: when its worker was killed, the next one need not wait for long.
        Job("audit_checkpoint", timedelta(seconds=settings.audit.checkpoint_seconds), mark, timedelta(seconds=15)),
        Job("partitions", timedelta(days=1), make_partitions),
        Job("key_rotation", rotation_every, rotate_keys),
        Job("forget_past", timedelta(days=1), forget),
        Job("registrations_resumed", timedelta(seconds=30), tell_resumed),
        Job("registrations_expired", timedelta(hours=1), drop_registrations),
    ]
    jobs.append(make_re_encryption(database, platform.data_keys, clock, platform.random, settings.keys.pending_seconds).as_job())
    if settings.transients.store == "postgres":
        jobs.append(Job("transient_cleanup", timedelta(minutes=1), remove_transients))
    return jobs


def make_logout_jobs(logouts: LogoutDelivery) -> list[Job]:
    """Return what is left to do about departments that are told of sign-outs."""

    async def give_up(_: JobState) -> JobState:
        number = await logouts.give_up_overdue()
        return JobState(progress=f"{number} not told in time", again=number > 0)

    async def forget(_: JobState) -> JobState:
        return JobState(again=await logouts.forget())

    return [Job("logouts_overdue", timedelta(seconds=30), give_up), Job("logouts_forgotten", timedelta(days=1), forget)]


def make_sms_handler(gateway: Gateway, log: Any) -> Handler:
    """Return what delivers ``sms`` messages through ``gateway``."""

    async def deliver(payload: dict[str, Any], message_id: MessageId) -> str:
        try:
            sms = msgspec.convert(payload, SmsPayload)
        except msgspec.ValidationError:
            raise DeliveryRefused("payload") from None
        # Our own id tells when the message was written, so the vendor gets a hash of it.
        outward_id = hashlib.sha256(message_id.bytes).hexdigest()[:32]
        try:
            receipt = await gateway.send(ShortMessage(sms.phone, sms.template, sms.parameters, outward_id))
        except SmsRefused as refused:
            if refused.action in (Action.ALARM, Action.FAIL_OVER):
                log.error("sms gateway refuses us", reason=refused.reason, action=refused.action.value)
            raise DeliveryRefused(refused.reason) from None
        except SmsUnavailable as unavailable:
            log.warning("sms gateway gives no answer", reason=unavailable.reason)
            raise
        return receipt.reference

    return deliver


async def run_loops(loops: Mapping[str, Loop], stop: asyncio.Event, log: Any) -> None:
    """Run every loop until ``stop``; one that fails is started again after a pause that grows to LONGEST_BACKOFF."""
    tasks = [asyncio.create_task(_keep_up(name, loop, stop, log)) for name, loop in loops.items()]
    try:
        await stop.wait()
    finally:
        stop.set()  # also when we are cancelled: the loops end in order
        _, late = await asyncio.wait(tasks, timeout=STOP_TIMEOUT)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_up(name: str, loop: Loop, stop: asyncio.Event, log: Any) -> None:
    pause = 1.0
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        try:
            await loop(stop)
        except Exception as error:  # a lost database, above all: nothing of it may end the others
            if asyncio.get_running_loop().time() - started > LONGEST_BACKOFF:
                pause = 1.0
            log.warning("loop interrupted", loop=name, pause=pause, exc_info=error)
            await _pause(stop, pause)
            pause = min(2 * pause, LONGEST_BACKOFF)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@contextlib.contextmanager
def _stop_on_signal(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    handled = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Outside the main thread signals are the business of whoever started us.
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.add_signal_handler(number, stop.set)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _open_gateway(settings: SmsSettings, environment: str, clock: Clock, random: Random) -> AsyncIterator[Gateway | None]:
    if settings.gateway == "none":
        yield None
        return
    templates = settings.templates
    if not templates and environment != "production":
        templates = {template.name: template.code for template in TEMPLATES.values()}
    if missing := sorted(set(TEMPLATES) - set(templates)):
        raise SettingRefused(f"The setting sms.templates names no template code for {', '.join(missing)}.")
    secret = _read_secret(settings.access_key_secret_file)
    # No proxy or certificate from the environment: what leaves and whom it trusts is settings alone.
    async with httpx2.AsyncClient(trust_env=False, follow_redirects=False) as client:
        yield AliyunGateway(
            client,
            endpoint=settings.endpoint,
            access_key_id=settings.access_key_id,
            access_key_secret=secret,
            sign_name=settings.sign_name,
            templates=templates,
            clock=clock,
            random=random,
        )


def _read_secret(path: str) -> str:
    if not path:
        raise SettingRefused("The setting sms.access_key_secret_file is empty; name the file that holds the access key's secret.")
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise SettingRefused(f"The file {path} of sms.access_key_secret_file cannot be read.") from None
    if not secret:
        raise SettingRefused(f"The file {path} of sms.access_key_secret_file is empty.")
    return secret
