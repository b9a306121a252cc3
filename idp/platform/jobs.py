"""Decides when periodic work runs and who runs it: one row a kind, taken under a lease, resumed where it stopped."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from idp.kernel.clock import Clock
from idp.platform.database import Database, DatabaseUnavailable

LEASE = timedelta(minutes=5)
"""A job that was taken is nobody else's for this long; one that takes longer is stopped."""

LONGEST_RETRY = timedelta(minutes=1)

ENSURE = "INSERT INTO jobs (kind, run_at) VALUES ($1, $2) ON CONFLICT (kind) DO NOTHING"
TAKE = """
    UPDATE jobs SET lease_until = $3 WHERE kind = $1 AND run_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
    RETURNING cursor, progress
"""
# The lease is the fence: who lost it writes nothing.
FINISH = """
    UPDATE jobs SET cursor = $3, progress = $4, run_at = $5, lease_until = NULL, last_error = NULL WHERE kind = $1 AND lease_until = $2
"""
FAIL = "UPDATE jobs SET run_at = $3, lease_until = NULL, last_error = $4 WHERE kind = $1 AND lease_until = $2"
READ = "SELECT kind, cursor, progress, run_at, lease_until, last_error FROM jobs ORDER BY kind"


@dataclass(frozen=True, slots=True)
class JobState:
    """Where a job stands: ``cursor`` is for itself, ``progress`` for people to read. ``again`` asks for a next run at once."""

    cursor: str = ""
    progress: str = ""
    again: bool = False


@dataclass(frozen=True)
class Job:
    """One kind of periodic work. ``run`` gets the state the last run left and returns the next; it may run twice, so it is idempotent.

    ``lease``: after so long another worker goes on in the place of one that was killed.
    """

    kind: str
    every: timedelta
    run: Callable[[JobState], Awaitable[JobState]]
    lease: timedelta = LEASE


@dataclass(frozen=True, slots=True)
class JobRun:
    """How one run ended; ``error`` is the name of an error's class, empty when it went well."""

    kind: str
    error: str = ""
    failure: Exception | None = None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A row of ``jobs`` as an operator sees it."""

    kind: str
    cursor: str
    progress: str
    run_at: datetime
    lease_until: datetime | None
    last_error: str | None


async def ensure_jobs(database: Database, jobs: Sequence[Job], clock: Clock) -> None:
    """Make the rows of jobs that have none, due now; called once before ``run_due``."""
    for job in jobs:
        await database.write(ENSURE, job.kind, clock())


async def run_due(database: Database, jobs: Sequence[Job], clock: Clock) -> list[JobRun]:
    """Run each job that is due and that nobody else has taken, one after the other; return how each ended.

    A job that fails is noted and tried again after ``every`` or a minute, whichever is sooner. Raises DatabaseUnavailable.
    """
    runs = []
    for job in jobs:
        now = clock()
        lease_until = now + job.lease
        if taken := await database.write(TAKE, job.kind, now, lease_until):
            runs.append(await _run(database, job, JobState(taken[0]["cursor"], taken[0]["progress"]), lease_until, clock))
    return runs


async def read_jobs(database: Database) -> list[JobStatus]:
    """Return every job's row."""
    return [JobStatus(**row) for row in await database.fetch(READ)]


async def _run(database: Database, job: Job, state: JobState, lease_until: datetime, clock: Clock) -> JobRun:
    try:
        async with asyncio.timeout(job.lease.total_seconds() * 0.9):
            after = await job.run(state)
    except DatabaseUnavailable:
        raise  # nothing can be noted now: the lease ends by itself
    except Exception as error:  # whatever it was, the other jobs go on
        retry = clock() + min(job.every, LONGEST_RETRY)
        await database.write(FAIL, job.kind, lease_until, retry, type(error).__name__)
        return JobRun(job.kind, type(error).__name__, error)
    next_at = clock() if after.again else clock() + job.every
    await database.write(FINISH, job.kind, lease_until, after.cursor, after.progress, next_at)
    return JobRun(job.kind)
