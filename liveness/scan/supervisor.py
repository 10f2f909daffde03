"""The supervisor: it watches receivers and senders, and keeps partial results whatever fails."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from liveness.errors import LivenessError
from liveness.net.path.path import Path
from liveness.net.path.watch import PathWatch
from liveness.net.ring import RxRing, TxRing
from liveness.order.order import targets_of
from liveness.probes.run_constants import RunConstants
from liveness.runs.checkpoint import Checkpoint, Totals
from liveness.runs.left_out import add_left_out
from liveness.runs.optout_record import OptOuts
from liveness.runs.rundir import RunDirectory
from liveness.scan.block_starts import BlockStarts
from liveness.scan.interruption import Interruption, rate_signals
from liveness.scan.losses.watch import LossWatch
from liveness.scan.optouts import OptOutWatch
from liveness.scan.path.guard import PathGuard
from liveness.scan.plan import Plan
from liveness.scan.progress import Listeners, Progress, observe
from liveness.scan.rate.tuner import Tuner
from liveness.scan.recovery.checkpointing import Checkpointing
from liveness.scan.recovery.compacting import Compacting
from liveness.scan.send.sender import Sender
from liveness.scan.shared import Shared
from liveness.scan.talk.path import TalkPath
from liveness.scan.totals import SessionTotals
from liveness.scan.worker_group import WorkerGroup
from liveness.space.intervals import Intervals, union

WATCH_EVERY_S: Final = 0.1


@dataclass(slots=True)
class Outcome:
    """The outcome of a session: shared counters, totals, and why it ended early. Received data is in segments."""

    shared: Shared
    totals: Totals
    interruption: Interruption
    opt_outs: OptOuts
    losses: LossWatch
    starts: BlockStarts
    started_ns: int
    """Time of the monotonic clock, like the marks of the lag record; `finished_ns` is the time of day."""
    finished_ns: int


@dataclass(slots=True)
class Supervisor:
    """The supervisor of one session, whose rings are open already. Signals reach it through `interruption`.

    Any failure in it, also a bug, ends the session early: all processes end, and received data and counts are on disk.
    """

    plan: Plan
    constants: RunConstants
    tx_rings: Sequence[TxRing]
    rx_rings: Sequence[RxRing]
    directory: RunDirectory
    interface: str
    first: Checkpoint
    """Checkpoint at which this session begins."""
    on_progress: Callable[[Progress], None]
    interruption: Interruption
    on_notice: Callable[[str], None]
    """Called with each line that needs attention at once."""
    watch: PathWatch | None = None
    """Watch on the path to the targets, open already; None if the path is no interface of the kernel."""
    talk: TalkPath | None = None
    """What talks with services need of the kernel, open already; None if nobody is talked to."""
    _listeners: Listeners = field(init=False)

    def __post_init__(self) -> None:
        """Wrap the listeners, so that their exceptions cannot end the scan."""
        self._listeners = Listeners(self.on_progress, self.on_notice)
        self.interruption.on_finishing = self._listeners.notice

    def run(self) -> Outcome:
        """Run the session to its end, or to an interruption. Received data is in segments in both cases."""
        shared = Shared(self.plan)
        opt_outs = OptOutWatch(self.plan, self.directory.path, shared.withdrawn, self._listeners.notice)
        shared.publishes_counts |= opt_outs.resumed or len(self._unreached()) > 0
        shared.begin_at(self.first, targets_of(self.plan.order.parts[: self.first.block]))
        started_ns = time.monotonic_ns()
        earlier = self.first.totals.rate_search
        tuner = Tuner(self.plan, shared, self.interface, earlier) if self.plan.config.rate.auto else None
        session = SessionTotals(self.interface, shared, tuner=tuner)
        session.losses = losses = self._watch_losses(shared, session, tuner)
        starts = BlockStarts(self.plan, shared, self.first.manifest, self._listeners.notice)
        checkpointing = Checkpointing(self.plan, self.directory, self.first, shared, session.started_s, starts)
        workers = WorkerGroup(
            self.plan,
            self.constants,
            self.tx_rings,
            self.rx_rings,
            self.directory,
            shared,
            self._sender(shared),
            self.talk,
        )
        compacting = Compacting(self.directory)
        guard = self._guard(session, losses, opt_outs)
        try:
            with rate_signals(session, self.plan.ceiling_pps):
                with self.interruption.by_errors():
                    workers.start(self.interruption)
                    compacting.start()
                    self._watch(workers, session, losses, checkpointing, compacting, opt_outs, guard)
                self.interruption.finish(complete=workers.all_sent() and not workers.receiver_ended())
                with self.interruption.by_errors():
                    workers.stop_senders(self.interruption)
                too_much = None
                with self.interruption.by_errors():
                    too_much = losses.conclude()
                with self.interruption.by_errors():
                    workers.finish_talker(self.interruption)
                with self.interruption.by_errors():
                    workers.finish_receivers(self.interruption)
                if too_much is not None:  # after the receivers: if one failed, that is the reason to report
                    self.interruption.by(too_much)
        finally:
            workers.end()
            compacting.finish()
        totals = self._conclude(session, losses, checkpointing)
        return Outcome(shared, totals, self.interruption, opt_outs.record, losses, starts, started_ns, time.time_ns())

    def _sender(self, shared: Shared) -> Callable[[int, TxRing], Callable[[], None]]:
        """Return the function that makes a sender, which begins where an earlier session ended."""

        def make(index: int, ring: TxRing) -> Callable[[], None]:
            return Sender(self.plan, self.constants, ring, shared, index, self.first.positions[index]).run

        return make

    def _watch_losses(self, shared: Shared, session: SessionTotals, tuner: Tuner | None) -> LossWatch:
        """Return the watch over losses of this session."""
        return LossWatch(
            self.plan,
            shared,
            self.interface,
            self.first,
            session.started_s,
            self._listeners.notice,
            self.interruption.by,
            (lambda: None) if tuner is None else tuner.measure_again,
        )

    def _watch(
        self,
        workers: WorkerGroup,
        session: SessionTotals,
        losses: LossWatch,
        checkpointing: Checkpointing,
        compacting: Compacting,
        opt_outs: OptOutWatch,
        guard: PathGuard | None,
    ) -> None:
        """Wait for the senders to finish; return early for a signal, a limit, or a process that failed."""
        limit_s = self.plan.config.max_runtime_s
        while self.interruption.reason is None and not workers.receiver_ended():
            checkpointing.starts.look()
            if guard is not None:
                guard.look()
            self._report(session, losses, guard, sending=True)
            session.look()
            losses.look()
            opt_outs.look_or_end(self.interruption)
            if checkpointing.due(session.elapsed_s):
                checkpointing.write(session.totals(), losses.losses())
                compacting.look()
            if session.tuner is not None and not losses.guard.paused and not session.shared.hold[0]:
                session.tuner.observe(losses.accounts.lost)
            if not workers.sending(self.interruption):
                if guard is not None:
                    guard.look()  # a change of the way since the last look may have been settled by the senders' end
                return
            if limit_s is not None and session.elapsed_s > limit_s:
                self.interruption.by(f"limits.max_runtime of {self.plan.config.limits.max_runtime} reached")
            time.sleep(WATCH_EVERY_S)

    def _unreached(self) -> Intervals:
        """Return the targets that nothing is sent to: their route leads nowhere, or no neighbour answers for them."""
        if self.watch is None:
            return Intervals.empty()
        return self._unrouted(self.watch.path).union(self.watch.path.neighbours.unresolved)

    def _unrouted(self, path: Path) -> Intervals:
        """Return the targets to which no route leads."""
        return union(part.targets for part in path.left_out).intersection(self.plan.intervals)

    def _keep_left_out(self, targets: Intervals) -> None:
        """Note targets to which no route leads: who compares this run with others must not take them for misses."""
        try:
            add_left_out(self.directory.path, targets.intersection(self.plan.intervals))
        except LivenessError as error:
            self._listeners.notice(f"WARNING: {error}")

    def _guard(self, session: SessionTotals, losses: LossWatch, opt_outs: OptOutWatch) -> PathGuard | None:
        """Return the guard of the path, or None without a watch.

        Targets that the path leaves out now, but did not when the run began, and neighbours that do not answer ARP are
        withdrawn at once.
        """
        if self.watch is None:
            return None
        session.path.begin(self.watch.path)
        unreached = self._unreached()
        if len(unreached):
            opt_outs.leave_out(unreached)
        self._keep_left_out(self._unrouted(self.watch.path))

        def leave_out(targets: Intervals) -> None:
            opt_outs.leave_out(targets)
            self._keep_left_out(targets)

        return PathGuard(
            self.watch,
            session.shared,
            session.path,
            end=self.interruption.by,
            notice=self._listeners.notice,
            lost=losses.report,
            withdraw=leave_out,
            longest_pause_s=self.plan.config.limits.max_pause.seconds,
            track=losses.book.track,
        )

    def _report(self, session: SessionTotals, losses: LossWatch, guard: PathGuard | None, *, sending: bool) -> None:
        """Pass a snapshot of the scan to its listeners."""
        losses.count()
        self._listeners.progress(
            observe(
                self.plan,
                session.shared,
                session.elapsed_s,
                sending=sending,
                silent=losses.silent,
                problem=None if guard is None else guard.problem,
                unresolved=0 if self.watch is None else self.watch.path.neighbours.unresolved.count,
            )
        )

    def _conclude(self, session: SessionTotals, losses: LossWatch, checkpointing: Checkpointing) -> Totals:
        """Return the final totals, and write the last checkpoint. Each step is tried even if an earlier one failed."""
        with self.interruption.by_errors():
            self._report(session, losses, None, sending=False)
        totals = Totals(errors=session.shared.send_errors.sum(axis=0).tolist())
        with self.interruption.by_errors():
            session.look(last=True)
        with self.interruption.by_errors():
            checkpointing.starts.look()
        with self.interruption.by_errors():
            totals = session.totals()
        with self.interruption.by_errors():
            checkpointing.write(totals, losses.losses())
        return totals
