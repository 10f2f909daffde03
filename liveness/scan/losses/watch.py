"""Watch over losses: the accounts, the silence guard and the book of one session, called by the supervisor."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from liveness.runs.checkpoint import Checkpoint
from liveness.runs.losses import Losses, LossRecord
from liveness.scan.losses.accounts import Accounts
from liveness.scan.losses.book import LossBook
from liveness.scan.losses.entry import Certainty
from liveness.scan.losses.extent import frames_by_probe
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.silence_guard import SilenceGuard
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared

NS: Final = 1_000_000_000
NOTHING_AFTER_S: Final = 60.0
"""Time after which a run that has received nothing reports it, instead of only at its end."""
PENDING_NS: Final = 2 * NS
"""Longest time that the end of a block is delayed because its last replies may have stopped."""
SLOW_AFTER_S: Final = 20.0
NOTHING_FRAMES: Final = 1_000
MISSED_SHARE: Final = 0.05
"""Share of the time from which senders that do not reach a fixed rate are reported."""
FOREIGN: Final = (
    "the source address is not of this host, or replies go to another interface: compare `ip address`, `ip route` and"
    " network.source_addresses"
)
NO_REPLY: Final = (
    f"not one reply came. In order of likelihood: {FOREIGN}; the gateway is the wrong one (network.gateway_mac); a"
    " firewall here or on the way drops probes or replies; no target is alive"
)


@dataclass(slots=True)
class LossWatch:
    """Watch of one session: `look` is called several times a second, `conclude` when the last sender has ended."""

    plan: Plan
    shared: Shared
    interface: str
    first: Checkpoint
    started_s: float
    """When the session began, seconds of the monotonic clock."""
    on_notice: Callable[[str], None]
    on_end: Callable[[str], None]
    on_recovery: Callable[[], None]
    book: LossBook = field(init=False)
    accounts: Accounts = field(init=False)
    guard: SilenceGuard = field(init=False)
    unaccounted: int = 0
    """Frames handed over that were neither completed, nor dropped, nor left unsent, when all senders have ended."""
    _recorded: tuple[int, list[LossRecord]] = field(default_factory=lambda: (-1, []))
    _sending_s: float = 0.0
    """Sending time of the session, without its last cooldown."""
    _open_since_ns: int = 0
    """Since when a sender has an open request for a stretch to send again."""
    _slow_reported: bool = False
    _nothing_reported: bool = False

    def __post_init__(self) -> None:
        """Read all counters for the first time, and let senders request repairs from now on."""
        started_ns = int(self.started_s * NS)
        elapsed_s = self.first.totals.elapsed_s
        self.book = LossBook(self.plan, self.shared, self.first.losses, started_ns, elapsed_s, self.on_notice)
        self.accounts = accounts = Accounts(self.interface, self.shared)
        self.book.counters_believed = lambda: accounts.believed
        self.guard = SilenceGuard(self.plan, self.shared, self.book, self.on_notice, self.on_end, self.on_recovery)
        self.shared.repairs.open[0] = 1

    def report(self, loss: LossInterval) -> None:
        """Record a loss that another part detected."""
        self.book.track.note(time.monotonic_ns(), self.shared)
        self.book.report(loss)
        self.on_recovery()

    def look(self, *, last: bool = False) -> None:
        """Check all sources of losses, and answer senders that request stretches to send again."""
        now_ns = time.monotonic_ns()
        self.book.track.note(now_ns, self.shared)
        for gap in self.accounts.look(now_ns, last=last):
            loss = LossInterval(gap.start_ns, gap.end_ns, f"{gap.where} dropped them")
            if not gap.as_sent:
                spans = self.book.track.spans(gap.start_ns, gap.end_ns)
                self.accounts.blame(gap.frames, frames_by_probe(spans, self.plan))
            self.book.report(loss, Certainty.COUNTERS, gap.frames)
        if last:
            self.guard.finish(now_ns)
        else:
            self.guard.look(now_ns)
            self._report_early(now_ns)
        self.book.repairs.serve(settled=self.accounts.settled and not self._last_replies_pending(now_ns))

    def _last_replies_pending(self, now_ns: int) -> bool:
        """Return whether a sender that has finished its block must wait until its last replies are judged."""
        requested = any(self.shared.repairs.requested_block(sender) is not None for sender in range(self.plan.senders))
        self._open_since_ns = (self._open_since_ns or now_ns) if requested else 0
        fresh = self.guard.drop is None and now_ns < self._open_since_ns + PENDING_NS
        return requested and fresh and self.guard.detector.may_have_dropped()

    def _report_early(self, now_ns: int) -> None:
        """Report at once what a run otherwise reports at its end: a rate that is not reached, or no replies at all."""
        elapsed_s = (now_ns - int(self.started_s * NS)) / NS
        if self.shared.blocks_drained() < len(self.plan.order.parts):
            self._sending_s = elapsed_s
        slow = not self.plan.config.rate.auto and self.given_up_s > MISSED_SHARE * elapsed_s
        if slow and not self._slow_reported and elapsed_s > SLOW_AFTER_S:
            self._slow_reported = True
            self.on_notice(self._slow_text(elapsed_s))
        nothing = not self.shared.packets.any() and int(self.shared.sent.sum()) >= NOTHING_FRAMES
        if nothing and not self._nothing_reported and elapsed_s > NOTHING_AFTER_S:
            self._nothing_reported = True
            self.on_notice(NO_REPLY)

    @property
    def given_up_s(self) -> float:
        """Time for which senders could not keep up with the rate, on average over all senders."""
        return float(self.shared.given_up_s.mean())

    def _slow_text(self, elapsed_s: float) -> str:
        return (
            f"the rate of {self.plan.rate_pps:,.4g} packets/s of each probe was not reached: senders could not keep up"
            f" for {self.given_up_s:,.1f} s of {elapsed_s:,.1f} s; lower it, or raise senders"
        )

    @property
    def silent(self) -> bool:
        """Whether replies have stopped."""
        return self.guard.drop is not None

    def count(self) -> None:
        """Update the number of probes known to be lost, including those that were sent again."""
        self.shared.lost[0] = sum(record.probes for record in self._records())

    def _records(self) -> list[LossRecord]:
        """Return the losses; they are computed again only if the book has changed."""
        if self.book.changes != self._recorded[0]:
            self._recorded = self.book.changes, self.book.losses().records
        return self._recorded[1]

    def conclude(self) -> str | None:
        """Take the final counts when all senders have ended; return why the run is not complete if it lost much."""
        self.look(last=True)
        shared = self.shared
        handed = int(shared.sent.sum() + shared.repaired.sum())
        self.unaccounted = handed - int(shared.completed.sum() + shared.dropped.sum())
        self.accounts.close()
        return self.book.too_much()

    def losses(self) -> Losses:
        """Return the losses for the checkpoint."""
        return self.book.losses()

    def warnings(self, *, received: int) -> list[str]:
        """Return the warnings about losses; `received` is the number of packets received in all sessions."""
        lines = self.book.warnings()
        if not self.plan.config.rate.auto and self.given_up_s > MISSED_SHARE * self._sending_s:
            lines.append(self._slow_text(self._sending_s))
        if self.unaccounted > 0:
            lines.append(f"{self.unaccounted:,} probes were handed over, and it is unknown whether they left")
        if not received and self.shared.sent.any():
            lines.append(NO_REPLY)
        return lines
