"""The worker delivers, chains, marks and rotates on its own, survives a lost database, and ends when told."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec
import pytest
import pytest_asyncio
import structlog
import uvicorn

from idp.composition import Platform, StartRefused, open_platform
from idp.kernel.audit_events import AuditEvent, Kind
from idp.kernel.clock import Random, read_system_clock, read_system_random
from idp.kernel.ids import MessageId, make_uuid7
from idp.platform.audit_checkpoints import RingSigner
from idp.platform.audit_verification import AuditReport, verify
from idp.platform.child_processes import find_free_port
from idp.platform.database import Database
from idp.platform.jobs import JobState
from idp.platform.outbox import DeliveryRefused
from idp.settings import AuditSettings, DatabaseSettings, KeySettings, Settings, SmsSettings
from idp.worker import make_jobs, make_loops, make_sms_handler, run_worker
from sms import TEMPLATES, Action, Receipt, ShortMessage, SmsRefused, SmsUnavailable, create_simulator
from tests.support.waiting import wait_for_listener, wait_until

PAYLOAD = {"phone": "+8613800138000", "template": "sign_in_code", "parameters": {"name": "张*", "code": "123456", "minutes": "5"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulator() -> AsyncIterator[str]:
    application = create_simulator(keys={"id-1": "synthetic"}, sign_name="一证通", clock=read_system_clock)
    port = find_free_port()
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=port, log_level="warning"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve())
    await wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settings(service_dsn: str, database: Database, simulator: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "secret").write_text("synthetic\n")
    (row,) = await database.fetch("SELECT name FROM environment")
    return Settings(
        environment=row["name"],
        database=DatabaseSettings(dsn=service_dsn, pool_size=4),
        keys=KeySettings(key_encryption_key_file=str(folder / "kek"), pending_seconds=2),
        audit=AuditSettings(checkpoint_file=str(folder / "audit" / "checkpoints.jsonl"), checkpoint_seconds=1),
        sms=SmsSettings(
            gateway="aliyun",
            endpoint=simulator,
            access_key_id="id-1",
            access_key_secret_file=str(folder / "secret"),
            sign_name="一证通",
            templates={template.name: template.code for template in TEMPLATES.values()},
        ),
    )


@pytest_asyncio.fixture(loop_scope="module")
async def platform(settings: Settings) -> AsyncIterator[Platform]:
    opened = await open_platform(settings, read_system_clock, read_system_random)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="module")
async def worker(settings: Settings, platform: Platform) -> AsyncIterator[None]:
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(settings, read_system_clock, read_system_random, stop=stop))
    await wait_for_listener(platform.database, "outbox", "keys")
    yield
    stop.set()
    async with asyncio.timeout(10):
        await working


async def read_codes(simulator: str) -> list[str]:
    async with httpx2.AsyncClient() as client:
        return [message["code"] for message in (await client.get(f"{simulator}/messages", params={"phone": "13800138000"})).json()]


async def send(platform: Platform, code: str) -> None:
    payload = {**PAYLOAD, "parameters": {"name": "张*", "code": code, "minutes": "5"}}
    async with platform.database.transaction() as tx:
        await platform.outbox.add(tx, "sms", payload, read_system_clock() + timedelta(minutes=5))
        await platform.audit_log.record(tx, AuditEvent(Kind.CODE_SENT))


async def wait_for_code(simulator: str, code: str, seconds: float = 10) -> None:
    async def arrived() -> bool:
        return code in await read_codes(simulator)

    await wait_until(arrived, seconds)


@pytest.mark.usefixtures("worker")
async def test_a_code_reaches_the_phone_and_its_event_the_chain(settings: Settings, platform: Platform, simulator: str) -> None:
    await send(platform, "100001")
    await wait_for_code(simulator, "100001")
    path = Path(settings.audit.checkpoint_file)
    signer = RingSigner(platform.ring)
    reports: list[AuditReport] = []

    async def marked() -> bool:
        report = await verify(platform.database, platform.data_keys.mac("audit"), path, signer)
        reports.append(report)
        return report.tail == 0 and report.checkpointed_to == report.chained > 0

    await wait_until(marked, 30)
    assert reports[-1].ok, reports[-1].faults


@pytest.mark.parametrize("left", [None, b""], ids=["new", "a crash came before the first line"])
async def test_the_first_rows_get_a_checkpoint_at_once(platform: Platform, tmp_path: Path, left: bytes | None) -> None:
    path = tmp_path / "checkpoints.jsonl"
    if left is not None:
        path.write_bytes(left)
    audit = AuditSettings(checkpoint_file=str(path), checkpoint_seconds=3_600)
    elsewhere = replace(platform, settings=msgspec.structs.replace(platform.settings, audit=audit))
    stop = asyncio.Event()
    chaining = asyncio.ensure_future(make_loops(elsewhere, {}, structlog.get_logger())["audit chain"](stop))
    async with platform.database.transaction() as tx:
        await platform.audit_log.record(tx, AuditEvent(Kind.CODE_SENT))
    await wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") == 1)
    stop.set()
    await chaining


@pytest.mark.usefixtures("worker")
async def test_s27_the_worker_carries_out_a_rotation(platform: Platform) -> None:
    async def signs(kid: str) -> bool:
        await platform.ring.reload()
        return platform.ring.find_signer("ES256").kid == kid

    # Whether the worker had a key stand by for long enough already depends on how long it runs; the one after that has to wait.
    first = await platform.key_rotation.rotate("ES256", "operator")
    await wait_until(lambda: signs(first), 30)
    kid = await platform.key_rotation.rotate("ES256", "operator")
    await platform.ring.reload()
    assert kid in platform.ring.jwks.decode()
    await wait_until(lambda: signs(kid), 30)


@pytest.mark.usefixtures("worker")
async def test_a_lost_database_only_pauses_the_work(settings: Settings, platform: Platform, simulator: str, owner_dsn: str) -> None:
    await send(platform, "100002")
    await wait_for_code(simulator, "100002")
    owner = await asyncpg.connect(owner_dsn)
    await owner.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await owner.close()
    for attempt in range(20):  # our own pool was cut too
        try:
            await send(platform, "100003")
            break
        except Exception:
            assert attempt < 19
    await wait_for_code(simulator, "100003", 30)


async def test_the_cleaning_goes_on_at_once_while_something_is_left(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.worker.CLEANING_BATCH", 10)
    monkeypatch.setattr("idp.worker.CLEANING_BATCHES", 2)
    await platform.database.write("DELETE FROM transients")
    await platform.database.write(
        """INSERT INTO transients (kind, key, value, version, expires_at)
           SELECT 'old', n::text::bytea, '', 1, '2020-01-01T00:00:00Z' FROM generate_series(1, 25) AS n"""
    )
    (clean,) = [job for job in make_jobs(platform) if job.kind == "transient_cleanup"]
    assert await clean.run(JobState()) == JobState(progress="20 removed", again=True)
    assert await clean.run(JobState()) == JobState(progress="5 removed")


def test_a_signal_ends_it_in_order(settings: Settings) -> None:
    program = (
        "import asyncio, os, sys\n"
        "from idp.kernel.clock import read_system_clock, read_system_random\n"
        "from idp.platform.logging import configure_logging\n"
        "from idp.settings import read_settings\n"
        "from idp.worker import run_worker\n"
        "configure_logging('info')\n"
        "asyncio.run(run_worker(read_settings(), read_system_clock, read_system_random))\n"
    )
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("IDP_")},
        "IDP_ENVIRONMENT": settings.environment,
        "IDP_DATABASE__DSN": settings.database.dsn,
        "IDP_DATABASE__POOL_SIZE": "2",
        "IDP_KEYS__KEY_ENCRYPTION_KEY_FILE": settings.keys.key_encryption_key_file,
        "IDP_AUDIT__CHECKPOINT_FILE": settings.audit.checkpoint_file,
    }
    lines = []
    with subprocess.Popen([sys.executable, "-c", program], env=environ, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "worker started":
                child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    assert lines[-1]["event"] == "worker stopped", lines


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"access_key_secret_file": ""}, "access_key_secret_file"),
        ({"access_key_secret_file": "/nowhere/secret"}, "access_key_secret_file"),
        ({"templates": {"sign_in_code": "SMS_1"}}, "sms.templates"),
    ],
)
async def test_wrong_settings_of_the_gateway_refuse_to_start(settings: Settings, changed: dict[str, Any], named: str) -> None:
    wrong = msgspec.structs.replace(settings, sms=msgspec.structs.replace(settings.sms, **changed))
    with pytest.raises(StartRefused, match=named):
        await run_worker(wrong, read_system_clock, read_system_random, stop=asyncio.Event())


class Gateway:
    def __init__(self, answer: Receipt | Exception) -> None:
        self.answer = answer
        self.sent: list[ShortMessage] = []

    async def send(self, message: ShortMessage) -> Receipt:
        self.sent.append(message)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def message_id(random: Random) -> MessageId:
    return MessageId(make_uuid7(read_system_clock, random))


async def test_the_handler_keeps_our_id_inside(message_id: MessageId) -> None:
    gateway = Gateway(Receipt("biz-1"))
    deliver = make_sms_handler(gateway, structlog.get_logger())
    assert await deliver(PAYLOAD, message_id) == "biz-1"
    assert await deliver(PAYLOAD, message_id) == "biz-1"
    first, second = gateway.sent
    assert first.message_id == second.message_id, "the same message keeps its id"
    assert str(message_id) not in first.message_id
    assert message_id.hex not in first.message_id


@pytest.mark.parametrize("payload", [{}, {**PAYLOAD, "extra": 1}, {**PAYLOAD, "parameters": {"code": 1}}])
async def test_a_payload_that_is_none_is_refused_for_good(message_id: MessageId, payload: dict[str, Any]) -> None:
    with pytest.raises(DeliveryRefused):
        await make_sms_handler(Gateway(Receipt("")), structlog.get_logger())(payload, message_id)


async def test_refusals_are_final_and_troubles_are_not(message_id: MessageId) -> None:
    with pytest.raises(DeliveryRefused, match="quota"):
        await make_sms_handler(Gateway(SmsRefused("quota", Action.FAIL_OVER)), structlog.get_logger())(PAYLOAD, message_id)
    with pytest.raises(SmsUnavailable):
        await make_sms_handler(Gateway(SmsUnavailable("timeout")), structlog.get_logger())(PAYLOAD, message_id)
