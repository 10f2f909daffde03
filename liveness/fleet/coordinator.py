"""Coordinator: places the jobs of a run on vantage points, publishes opt-outs, and waits until all jobs have ended.

It keeps nothing to itself. The plan and the results are in the store, so the same command goes on where another one
was killed, and jobs that are at work go on without it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from liveness.clock import utc
from liveness.errors import LivenessError, RefusedError
from liveness.fleet import layout, marks, opt_outs
from liveness.fleet.fitness import SPLIT_MS, clock_warning, why_unfit
from liveness.fleet.job import FINAL, Outcome
from liveness.fleet.lease import GRACE_S, Lease, newest_lease
from liveness.fleet.placement import Placement
from liveness.fleet.plan import Plan, PlannedJob
from liveness.fleet.publishing import NOT_REMOVED, Publishing, united
from liveness.fleet.store import Store, StoreError
from liveness.fleet.vantages import VantagePoint
from liveness.fleet.work import Work
from liveness.fleet.worker import stop_others

LOOK_S: Final = 0.5
LEASES_EVERY: Final = 20
"""Leases are read once in so many looks."""
LATEST_S: Final = GRACE_S + SPLIT_MS / 1e3
"""When a lease has expired for so long, every vantage point takes it for expired."""
STOP_S: Final = 60.0
"""Seconds in which scans end that are stopped."""
MOST_TRIES: Final = 5
"""A job that its runner gave up is placed again so often in a row."""


@dataclass(slots=True)
class Coordinator:
    """One command `fleet run`. `note` is called with lines about what happens."""

    work: Work
    store: Store
    placement: Placement
    plan: Plan
    secret: bytes
    note: Callable[[str], None]
    warn: Callable[[str], None]
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    outcomes: dict[str, Outcome] = field(default_factory=dict, init=False)
    _checked: set[str] = field(default_factory=set, init=False)
    """Vantage points whose facts fit."""
    _refused: dict[str, str] = field(default_factory=dict, init=False)
    _tries: dict[str, int] = field(default_factory=dict, init=False)
    _again_s: dict[str, float] = field(default_factory=dict, init=False)
    _waiting: set[str] = field(default_factory=set, init=False)
    _moved: dict[str, str] = field(default_factory=dict, init=False)
    """Jobs that were moved, and the vantage points that have them now."""
    _to_move: set[str] = field(default_factory=set, init=False)
    """Jobs that have stopped at a vantage point that will not return: they are moved when their lease has expired."""
    _publishing: Publishing = field(init=False)

    def __post_init__(self) -> None:
        """Prepare to publish the blocklists of the config."""
        self._publishing = Publishing(self.work.config.targets.blocklists, self.store, self.plan, self.note, self.warn)

    def run(self) -> None:
        """Work until every job has ended. LivenessError if scheduler or store are gone, or a damaged run is left."""
        self._publishing.publish()
        for planned in self.plan.jobs:
            self._find(planned)
        looks = 0
        while self._unfinished():
            self._place()
            for outcome in self.placement.ended():
                self._take(outcome)
            if looks % LEASES_EVERY == 0:
                self._look_at_leases()
            self._publishing.publish()
            looks += 1
            self.pause(LOOK_S)
        problems = opt_outs.apply_to_stored(self.store, self.plan, self.note)
        if all(outcome.state in FINAL for outcome in self.outcomes.values()):
            marks.end(self.store, self.plan.census, self.plan.run)
        if problems:
            raise LivenessError(f"{united(problems)}: {NOT_REMOVED}")

    def stop(self) -> list[str]:
        """Stop the scans of a cluster within this process, and wait for their ends; return the jobs that go on.

        Jobs that an earlier command has begun, and that this one has not placed yet, are stopped too. What may have
        been moved is looked for at all vantage points: this command may not have read the moves.
        """
        if not self.placement.embedded:
            return self.placement.stop()
        placed = self.placement.submitted()
        try:
            others = [
                self.work.job(self.plan, planned, vantage, self.secret)
                for planned in self._unfinished()
                if planned.job not in placed
                for vantage in (self.work.fleet.vantages if self.plan.moves else [self._vantage(planned)])
            ]
            stop_others(others, 0.0)
        finally:  # whatever is wrong with the others, our own are stopped
            left = self.placement.stop()
        return list(dict.fromkeys(left + stop_others(others, STOP_S)))

    def _find(self, planned: PlannedJob) -> None:
        """Take the result of a job that has ended before this command, and its move if it was moved."""
        job = layout.of_job(self.plan.census, self.plan.run, planned.job)
        result = self.store.document(f"{job}/{layout.RESULT}", Outcome)
        if result is not None:
            self.outcomes[planned.job] = result
        move = marks.moved(self.store, job)
        if move is not None:
            self._moved[planned.job] = move.to

    def _unfinished(self) -> list[PlannedJob]:
        return [planned for planned in self.plan.jobs if planned.job not in self.outcomes]

    def _vantage(self, planned: PlannedJob) -> VantagePoint:
        return self.work.fleet.vantage(self._moved.get(planned.job, planned.vantage))

    def _place(self) -> None:
        """Submit the jobs whose vantage points are there, fit and not at work on them already."""
        not_now = {*self.placement.submitted(), *self._to_move}
        waiting = [planned for planned in self._unfinished() if planned.job not in not_now]
        if not waiting:
            return
        workers = self.placement.workers()
        for planned in waiting:
            vantage = self._vantage(planned)
            if vantage.name not in workers:
                if vantage.name not in self._waiting:
                    self.note(f"{vantage.name}: no worker yet: waiting for one with the resource {vantage.name}=1")
                    self._waiting.add(vantage.name)
                continue
            if self.clock() < self._again_s.get(planned.job, 0.0):
                continue
            if vantage.name not in self._checked:
                self._check(vantage, workers[vantage.name])
            if vantage.name in self._refused:
                self._refuse(planned, vantage)
                continue
            if vantage.name not in self._checked:
                continue  # it did not answer: it is asked again at the next look
            job = self.work.job(self.plan, planned, vantage, self.secret)
            self.placement.submit(job, vantage)
            self.note(f"{planned.job}: placed on {vantage.name}")

    def _check(self, vantage: VantagePoint, worker: str) -> None:
        """Compare version and clock of a vantage point with ours, if it answers."""
        try:
            found = self.placement.facts(worker)
        except LivenessError as error:
            if self.placement.is_gone():
                raise
            self._checked.add(vantage.name)
            self._refused[vantage.name] = f"{vantage.name}: {error}"
            return
        if found is None:
            return
        unfit, warning = why_unfit(found, self.plan.mode), clock_warning(found)
        if unfit is not None:
            self._refused[vantage.name] = f"{vantage.name}: {unfit}"
        elif warning is not None:
            self.warn(f"{vantage.name}: {warning}")
        self._checked.add(vantage.name)

    def _refuse(self, planned: PlannedJob, vantage: VantagePoint) -> None:
        message = self._refused[vantage.name]
        self.outcomes[planned.job] = Outcome(
            job=planned.job,
            vantage=vantage.name,
            state="refused",
            exit_code=RefusedError.exit_code,
            message=message,
        )

    def _take(self, outcome: Outcome) -> None:
        """Take the outcome of a job: it is final, or the job is placed again."""
        tries = self._tries.get(outcome.job, 0)
        killed = outcome.state == "stopped" and outcome.exit_code == LivenessError.exit_code
        moved = outcome.state in ("lost", "refused") and outcome.job in self._moved
        if (killed or moved) and tries < MOST_TRIES:
            self.note(f"{outcome.job}: {outcome.message}: placed again")
            self._tries[outcome.job] = tries + 1
            self._again_s[outcome.job] = self.clock() + 2.0**tries
            return
        if outcome.state == "stopped" and self._is_to_move(outcome):
            self.note(f"{outcome.job}: {outcome.message}: moved when its lease has expired")
            self._to_move.add(outcome.job)
            return
        self.outcomes[outcome.job] = outcome
        words = f": {outcome.message}" if outcome.message else ""
        (self.note if outcome.state in FINAL else self.warn)(f"{outcome.job}: {outcome.state}{words}")

    def _is_to_move(self, outcome: Outcome) -> bool:
        """Return whether a job has stopped because its vantage point will not return, and another one can go on."""
        try:
            if not self.plan.moves or not self._is_lost(outcome.vantage):
                return False
        except StoreError as error:
            self.warn(str(error))
            return False
        return self._replacement(self.work.fleet.vantage(outcome.vantage)) is not None

    def _is_lost(self, vantage: str) -> bool:
        mark = marks.drained(self.store, self.plan.census, vantage)
        return mark is not None and mark.lost

    def _look_at_leases(self) -> None:
        """Move the jobs of vantage points that are lost for good, and name those that cannot be moved."""
        try:
            for planned in self._unfinished():
                self._look_at(planned)
        except StoreError as error:
            self.warn(str(error))

    def _look_at(self, planned: PlannedJob) -> None:
        job = layout.of_job(self.plan.census, self.plan.run, planned.job)
        vantage = self._vantage(planned)
        found = newest_lease(self.store, job)
        reason = self._why_lost(vantage, None if found is None else found[1])
        if reason is None:
            if planned.job in self._to_move and not self._is_lost(vantage.name):  # the mark was removed
                self._to_move.discard(planned.job)
            return
        if not self.plan.moves:
            self.placement.forget(planned.job)
            message = f"{vantage.name} is lost ({reason}): its run is missing, nobody replaces it"
            self.outcomes[planned.job] = Outcome(
                job=planned.job, vantage=vantage.name, state="lost", exit_code=1, message=message
            )
            self.warn(f"{planned.job}: {message}")
            return
        to = self._replacement(vantage)
        if to is None:
            return
        marks.move(self.store, job, vantage.name, to, reason)
        self.placement.forget(planned.job)
        self._moved[planned.job] = to
        self._to_move.discard(planned.job)
        self._again_s[planned.job] = 0.0
        self.warn(f"{planned.job}: {vantage.name} is lost ({reason}): moved to {to}: its targets are seen from there")

    def _why_lost(self, vantage: VantagePoint, lease: Lease | None) -> str | None:
        """Return why a vantage point will not go on with a job; None if it may. A lease that holds is respected."""
        now_s = time.time()
        if lease is not None and lease.vantage == vantage.name and lease.expires_s + LATEST_S > now_s:
            return None
        mark = marks.drained(self.store, self.plan.census, vantage.name)
        if mark is not None and mark.lost:
            return f"marked as lost at {mark.at}"
        after = self.work.fleet.lost_after
        if after is None or lease is None or lease.vantage != vantage.name:
            return None
        silent_s = now_s - (lease.expires_s - self.work.fleet.lease.seconds)
        if silent_s < after.seconds:
            return None
        return f"silent since {utc(int((now_s - silent_s) * 1e9))}"

    def _replacement(self, lost: VantagePoint) -> str | None:
        """Return a vantage point that has ended its own part, or has the least to do; None if there is none yet."""
        workers = self.placement.workers()
        load = {vantage.name: 0 for vantage in self.work.fleet.vantages if vantage.name in workers}
        for planned in self._unfinished():
            name = self._vantage(planned).name
            if name in load:
                load[name] += 1
        able = [
            name
            for name in load
            if name != lost.name
            and name not in self._refused
            and marks.drained(self.store, self.plan.census, name) is None
        ]
        return min(able, key=lambda name: load[name], default=None)
