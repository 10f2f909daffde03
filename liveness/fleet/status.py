"""Status of a run of a fleet, from the store alone: who is at work on which job, and how far."""

import time
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from liveness.analysis.numbers import ABSENT, percent
from liveness.analysis.tables import Column, Table
from liveness.clock import utc
from liveness.fleet import layout, marks
from liveness.fleet.job import Outcome
from liveness.fleet.lease import newest_lease
from liveness.fleet.plan import Plan, PlannedJob
from liveness.fleet.store import Store

SCHEMA: Final = 1

JobState = Literal["planned", "waiting", "scanning", "storing", "stopped", "silent", "complete", "partial", "missing"]
"""silent: its lease has expired. missing: its vantage point is lost, and nobody replaces it."""


class JobStatus(Struct, frozen=True, kw_only=True):
    """One job: who does it, its state, the share of its probes that were sent, and when it was last heard of."""

    job: str
    vantage: str
    moved_from: str | None
    state: JobState
    sent: float | None
    host: str | None
    heard: str | None
    owners: int
    """How many runners owned the job, one after the other."""
    note: str = ""


class Status(Struct, frozen=True, kw_only=True):
    """A run with all of its jobs."""

    schema: int = SCHEMA
    run: str
    mode: str
    start_at: str
    cancelled: bool
    drained: list[str]
    jobs: list[JobStatus]


def status_of(store: Store, plan: Plan, lease_s: float) -> Status:
    """Return the status of a run."""
    names = {planned.vantage for planned in plan.jobs}
    out = {name: mark for name in sorted(names) if (mark := marks.drained(store, plan.census, name)) is not None}
    lost = {name for name, mark in out.items() if mark.lost}
    return Status(
        run=f"{plan.census}/{plan.run}",
        mode=plan.mode,
        start_at=plan.start_at,
        cancelled=marks.is_cancelled(store, plan.census, plan.run),
        drained=list(out),
        jobs=[_job_status(store, plan, planned, lost, lease_s) for planned in plan.jobs],
    )


def _job_status(store: Store, plan: Plan, planned: PlannedJob, lost: set[str], lease_s: float) -> JobStatus:
    job = layout.of_job(plan.census, plan.run, planned.job)
    move = marks.moved(store, job)
    vantage = planned.vantage if move is None else move.to
    result = store.document(f"{job}/{layout.RESULT}", Outcome)
    newest = newest_lease(store, job)
    owners, lease = newest if newest is not None else (0, None)
    state: JobState = "planned"
    if result is not None:
        state = "partial" if result.state == "partial" else "complete"
    elif vantage in lost and not plan.moves:
        state = "missing"
    elif lease is not None and lease.vantage == vantage:
        state = "stopped" if lease.state == "stopped" else "silent"
        if lease.expires_s >= time.time() and lease.state in ("waiting", "scanning", "storing"):
            state = lease.state
    complete = result is not None and result.state == "complete"
    return JobStatus(
        job=planned.job,
        vantage=vantage if result is None else result.vantage,
        moved_from=None if move is None else move.lost,
        state=state,
        sent=1.0 if complete else None if lease is None else lease.share,
        host=None if lease is None else lease.host,
        heard=None if lease is None else utc(int((lease.expires_s - lease_s) * 1e9)),
        owners=owners,
        note=result.message if result is not None else "" if lease is None else lease.note,
    )


def status_table(jobs: Sequence[JobStatus]) -> Table:
    """Return the jobs as a table without a title: it is a list."""
    columns = tuple(Column(name) for name in ("job", "vantage", "state", "sent", "host", "heard of", "note"))
    return Table("jobs", "", columns, [_row(job) for job in jobs])


def _row(job: JobStatus) -> tuple[str, ...]:
    vantage = job.vantage if job.moved_from is None else f"{job.vantage} (for {job.moved_from})"
    sent = ABSENT if job.sent is None else percent(job.sent)
    return job.job, vantage, job.state, sent, job.host or ABSENT, job.heard or ABSENT, job.note
