"""The supervisor of a survey: it watches sender, receiver, path and blocklists, and keeps the rounds."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from liveness.errors import count_of
from liveness.net.ring import TxRing
from liveness.planes.live import LISTENED_NS, START_NS, LivePlanes
from liveness.runs.optout_record import load_opt_outs
from liveness.runs.rundir import RunDirectory
from liveness.scan.interruption import Interruption
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.order_track import OrderTrack
from liveness.scan.optouts import OptOutWatch
from liveness.scan.path.guard import PathGuard
from liveness.scan.path.record import PathRecord
from liveness.scan.plan import Plan
from liveness.scan.progress import Listeners, Progress, observe
from liveness.scan.session import Opened
from liveness.scan.shared import Shared
from liveness.scan.worker_group import WorkerGroup
from liveness.survey.gaps import of_intervals
from liveness.survey.gauges import gauges
from liveness.survey.outage_watch import OutageWatch, RoundOutages
from liveness.survey.recorder import SETTLING_NS, RoundRecorder
from liveness.survey.schedule import Survey
from liveness.survey.sender import RoundSender
from liveness.system.sharing import memory_shared

WATCH_EVERY_S: Final = 0.1
LEAD_NS: Final = 500_000_000
"""Time from the start of the sender to the first slot."""
LATE_NS: Final = 100_000_000
"""Time by which a sender may learn of a broken path later than the guard."""
NOTABLE_WAIT_S: Final = 2.0
"""A longer wait for an agreed start is reported."""
START_STEP_NS: Final = 10_000_000
"""A survey starts at a multiple of this."""
NS: Final = 1_000_000_000


@dataclass(slots=True)
class SurveySupervisor:
    """The supervisor of one session, whose rings are open already. Signals reach it through `interruption`."""

    survey: Survey
    plan: Plan
    opened: Opened
    directory: RunDirectory
    live: LivePlanes
    recorder: RoundRecorder
    on_begin: Callable[[Survey], None]
    """Called when the start of the survey is known, before its first packet."""
    on_progress: Callable[[Progress], None]
    on_notice: Callable[[str], None]
    on_outages: Callable[[RoundOutages], None]
    """Called with each round in which /24s went down or came back."""
    interruption: Interruption
    path: PathRecord = field(init=False)
    shared: Shared = field(init=False)
    opt_outs: OptOutWatch = field(init=False)
    outages: OutageWatch = field(init=False)
    judged: RoundOutages | None = field(default=None, init=False)
    """The last round that was judged."""
    _listeners: Listeners = field(init=False)
    _noted: int = field(default=-1, init=False)
    """Number of opt-outs whose time is kept."""
    _waited_s: float = field(default=0.0, init=False)
    """Time before an agreed start, which `limits.max_runtime` does not count."""
    _started_s: float = field(default_factory=time.monotonic, init=False)

    def __post_init__(self) -> None:
        """Create the shared memory and the watch on the blocklists."""
        self._listeners = Listeners(self.on_progress, self.on_notice)
        self.interruption.on_finishing = self._listeners.notice
        self.path = PathRecord(self._started_s)
        self.shared = Shared(self.plan)
        self.outages = OutageWatch.of(self.recorder, self.survey.config.notify, time.time_ns())
        self.opt_outs = OptOutWatch(self.plan, self.directory.path, self.shared.withdrawn, self._listeners.notice)

    def run(self) -> None:
        """Run the session to the end of the survey, or to an interruption. All planes are live or stored then."""
        opened = self.opened
        workers = WorkerGroup(
            self.plan,
            opened.constants,
            opened.transport.rings,
            opened.rx_rings,
            self.directory,
            self.shared,
            self._sender_of,
        )
        guard = self._guard()
        try:
            with self.interruption.by_errors(), memory_shared():
                workers.start(self.interruption)
                self._watch(workers, guard)
            over = time.time_ns() >= self._heard_all_ns
            self.interruption.finish(complete=over and workers.all_sent() and not workers.receiver_ended())
            with self.interruption.by_errors():
                workers.stop_senders(self.interruption)
            stopped_ns = time.time_ns()
            with self.interruption.by_errors():
                workers.finish_receivers(self.interruption)
        finally:
            workers.end()
        with self.interruption.by_errors():
            self._end(workers, stopped_ns)
        self._report(None, sending=False)

    def _end(self, workers: WorkerGroup, stopped_ns: int) -> None:
        """Note what a session that ended early did not wait for."""
        if all(receiver.problem() is None for receiver in workers.receivers) and workers.receivers:
            self.live.header[LISTENED_NS] = max(stopped_ns, int(self.live.header[LISTENED_NS]))
        if not self.interruption.complete and self.live.header[START_NS]:
            order = self.survey.order
            since_ns = max(int(self.live.header[LISTENED_NS]) - order.interval_ns, order.start_ns)
            self.recorder.cut(since_ns, max(time.time_ns(), stopped_ns), self.interruption.reason or "ended early")
        self.live.sync()

    def _sender_of(self, index: int, ring: TxRing) -> Callable[[], None]:
        """Return what the sender does. The receiver listens already, so a new survey starts now, or when agreed."""
        del index
        if not self.live.header[START_NS]:
            start_ns = self._start_ns()
            self.survey = self.survey.starting(start_ns)
            self.recorder.order = self.survey.order
            self.on_begin(self.survey)
            self.live.header[START_NS] = start_ns
        return RoundSender(
            self.plan,
            self.survey.order,
            self.opened.constants,
            ring,
            self.shared,
            self.live,
            self.survey.config.tolerance_ns,
        ).run

    def _start_ns(self) -> int:
        """Return when the first round of a new survey starts, and report an agreed start."""
        now_ns, agreed_ns = time.time_ns(), self.survey.config.start_ns
        if agreed_ns is None:
            return -(-(now_ns + LEAD_NS) // START_STEP_NS) * START_STEP_NS
        start_at, wait_s = self.survey.config.start_at, (agreed_ns - now_ns) / NS
        if wait_s < 0:
            self._listeners.notice(
                f"the agreed start was {-wait_s:,.1f} s ago ({start_at}): probes whose time has passed are not sent"
            )
        elif wait_s > NOTABLE_WAIT_S:
            self._listeners.notice(f"waiting until {start_at}")
        self._waited_s = max(0.0, wait_s)
        return agreed_ns

    def _watch(self, workers: WorkerGroup, guard: PathGuard) -> None:
        """Wait until the last round is over and its replies had an interval to come; return early for a failure."""
        limit_s = self.plan.config.max_runtime_s
        while self.interruption.reason is None and not workers.receiver_ended():
            guard.look()
            self._report(guard, sending=True)
            self._look_at_lists()
            self.recorder.look(time.time_ns())
            self._look_for_outages(guard)
            if not workers.sending(self.interruption) and time.time_ns() >= self._heard_all_ns:
                return
            if limit_s is not None and self.elapsed_s - self._waited_s > limit_s:
                self.interruption.by(f"limits.max_runtime of {self.plan.config.limits.max_runtime} reached")
            time.sleep(WATCH_EVERY_S)

    @property
    def _heard_all_ns(self) -> int:
        """Time at which every timely reply has come."""
        return self.survey.order.end_ns + self.survey.order.interval_ns + SETTLING_NS

    @property
    def elapsed_s(self) -> float:
        """Time in seconds since the session began."""
        return time.monotonic() - self._started_s

    def _guard(self) -> PathGuard:
        """Return the guard of the path. Neighbours that do not answer ARP are withdrawn for this session."""
        watch = self.opened.watch
        self.path.begin(watch.path)
        unresolved = watch.path.neighbours.unresolved
        if len(unresolved):
            self.opt_outs.leave_out(unresolved)
        return PathGuard(
            watch,
            self.shared,
            self.path,
            end=self.interruption.by,
            notice=self._listeners.notice,
            lost=self._lost,
            withdraw=self.opt_outs.leave_out,
            longest_pause_s=self.plan.config.limits.max_pause.seconds,
            track=OrderTrack(self.plan.senders),
        )

    def _lost(self, loss: LossInterval) -> None:
        """Count what was sent while the path was broken as not sent. Times of a loss are of the monotonic clock."""
        now_ns = time.monotonic_ns()
        to_wall_ns = time.time_ns() - now_ns
        start_ns, end_ns = loss.start_ns - loss.before_ns, min(loss.end_ns, now_ns) + LATE_NS
        self.recorder.cut(start_ns + to_wall_ns, end_ns + to_wall_ns, loss.cause, of_intervals(loss.targets))

    def _look_at_lists(self) -> None:
        """Withdraw newly blocked addresses; end the session early if that is impossible."""
        self.opt_outs.look_or_end(self.interruption)
        with self.interruption.by_errors():
            self._note_opt_outs()

    def _look_for_outages(self, guard: PathGuard) -> None:
        """Judge a round if one is due, and report /24s that went down or came back."""
        found = self.outages.look(time.time_ns(), paused=guard.problem is not None)
        if found is not None:
            self.judged = found
            if found.went_down or found.came_back:
                self.on_outages(found)

    def _note_opt_outs(self) -> None:
        """Keep when each address opted out: it is withdrawn from then on."""
        if len(self.opt_outs.record.withdrawals) != self._noted:
            self._noted = len(self.opt_outs.record.withdrawals)
            self.recorder.withdraw(time.time_ns(), load_opt_outs(self.directory.path).withdrawn)

    def _report(self, guard: PathGuard | None, *, sending: bool) -> None:
        """Pass a snapshot of the survey to its listeners."""
        order = self.survey.order
        progress = observe(
            self.plan,
            self.shared,
            self.elapsed_s,
            sending=sending,
            problem=None if guard is None else guard.problem,
        )
        now_ns = time.time_ns() if order.start_ns else 0
        begun = min(order.rounds, max(0, order.round_at(now_ns)))
        left = (order.end - order.due_by(now_ns)) * self.survey.targets.count // order.slots
        self._listeners.progress(
            replace(
                progress,
                probes=tuple(replace(probe, planned=probe.sent + left) for probe in progress.probes),
                blocks=order.rounds,
                blocks_drained=begun,
                part="round",
                gauges=gauges(self.recorder, self.judged),
            )
        )

    def warnings(self) -> list[str]:
        """Return one line for each known way in which this session lost packets."""
        drops, errors = int(self.shared.kernel_drops.sum()), int(self.shared.send_errors.sum())
        dropped = int(self.shared.dropped.sum())
        found = []
        if drops:
            found.append(
                f"the kernel dropped {drops:,} packets because the receive ring was full: raise receive.ring_mib"
            )
        if errors:
            found.append(f"{errors:,} frames were never sent: the interface failed")
        if dropped:
            lost = count_of(dropped, "frame")
            found.append(f"the interface dropped or refused {lost}: probes that left with them count as not sent")
        return found
