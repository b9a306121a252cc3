"""Periodic work runs when due, in one place at a time, resumes where it stopped, and its failure stays its own."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from idp.platform.database import Database, DatabaseUnavailable
from idp.platform.jobs import LEASE, Job, JobState, ensure_jobs, read_jobs, run_due
from tests.support.clocks import ManualClock

EVERY = timedelta(minutes=10)


class Work:
    """A job's body: counts by its cursor, fails as told."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.states: list[JobState] = []

    async def __call__(self, state: JobState) -> JobState:
        self.states.append(state)
        if self.faults:
            raise self.faults.pop(0)
        number = int(state.cursor or 0) + 1
        return JobState(str(number), f"{number} done", again=number < 3)


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def emptied(database: Database) -> AsyncIterator[None]:
    await database.write("DELETE FROM jobs")
    yield


async def test_a_job_runs_when_due_and_resumes_where_it_stopped(database: Database, clock: ManualClock) -> None:
    work = Work()
    jobs = [Job("count", EVERY, work)]
    await ensure_jobs(database, jobs, clock)
    await ensure_jobs(database, jobs, clock)
    for _ in range(5):
        await run_due(database, jobs, clock)
    assert [state.cursor for state in work.states] == ["", "1", "2"]
    (status,) = await read_jobs(database)
    assert (status.cursor, status.progress, status.lease_until, status.last_error) == ("3", "3 done", None, None)
    assert status.run_at == clock.now + EVERY
    clock.advance(EVERY.total_seconds())
    assert [run.kind for run in await run_due(database, jobs, clock)] == ["count"]


async def test_two_workers_run_it_once(database: Database, clock: ManualClock) -> None:
    ran = 0

    async def slow(state: JobState) -> JobState:
        nonlocal ran
        ran += 1
        await asyncio.sleep(0.1)
        return state

    jobs = [Job("slow", EVERY, slow)]
    await ensure_jobs(database, jobs, clock)
    await asyncio.gather(*(run_due(database, jobs, clock) for _ in range(3)))
    assert ran == 1


async def test_a_failed_job_is_noted_retried_and_harms_no_other(database: Database, clock: ManualClock) -> None:
    bad, good = Work(ValueError("13800138000")), Work()
    jobs = [Job("bad", EVERY, bad), Job("good", EVERY, good)]
    await ensure_jobs(database, jobs, clock)
    runs = await run_due(database, jobs, clock)
    assert [(run.kind, run.error) for run in runs] == [("bad", "ValueError"), ("good", "")]
    status = {status.kind: status for status in await read_jobs(database)}["bad"]
    assert (status.last_error, status.run_at, status.lease_until) == ("ValueError", clock.now + timedelta(minutes=1), None)
    clock.advance(60)
    await run_due(database, jobs, clock)
    assert len(bad.states) == 2
    assert {status.kind: status for status in await read_jobs(database)}["bad"].last_error is None


async def test_a_dead_workers_job_is_taken_after_its_lease_and_the_dead_one_writes_nothing(database: Database, clock: ManualClock) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def stall(_: JobState) -> JobState:
        entered.set()
        await release.wait()
        return JobState("stalled")

    jobs = [Job("j", EVERY, stall)]
    await ensure_jobs(database, jobs, clock)
    dead = asyncio.create_task(run_due(database, jobs, clock))
    await entered.wait()
    living = [Job("j", EVERY, Work())]
    assert await run_due(database, living, clock) == []
    clock.advance(LEASE.total_seconds())
    assert len(await run_due(database, living, clock)) == 1
    release.set()
    await dead
    (status,) = await read_jobs(database)
    assert status.cursor == "1"


async def test_a_lost_database_is_passed_on(database: Database, clock: ManualClock) -> None:
    jobs = [Job("j", EVERY, Work(DatabaseUnavailable("gone")))]
    await ensure_jobs(database, jobs, clock)
    with pytest.raises(DatabaseUnavailable):
        await run_due(database, jobs, clock)
