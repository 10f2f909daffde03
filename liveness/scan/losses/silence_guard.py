"""Silence guard: reports silence, lowers the rate or ends the run, and records what was sent meanwhile as lost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from liveness.config.units import MIN_RATE_PPS
from liveness.scan.losses.book import LossBook
from liveness.scan.losses.entry import Certainty
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.reply_track import ReplyTrack
from liveness.scan.losses.silence import ReplyDrop, SilenceDetector
from liveness.scan.plan import Plan
from liveness.scan.shared import HOLD_PATH, HOLD_SILENCE, Shared

NS: Final = 1_000_000_000
MARGIN_NS: Final = NS
"""Probes sent up to this long before the replies stopped may have lost their replies: they are sent again as well."""
REPORT_EVERY_NS: Final = NS
TRICKLE_REPLIES: Final = 4.0
"""Replies per second that the reduced rate (the trickle) would bring if replies came."""
TRICKLE_SHARES: Final = 0.001, 0.1
"""Least and largest trickle, as shares of the rate."""
BACK: Final = 0.5
"""Replies are back if this share of the expected replies comes,"""
BACK_REPLIES: Final = 3
"""and at least this number, among the last BACK_EXPECTED expected, or within BACK_NS if fewer are expected."""
BACK_EXPECTED: Final = 8.0
BACK_NS: Final = 5 * NS
TRY_AFTER_NS: Final = 60 * NS
"""Pause after which the full rate is tried, if the trickle is too low to show replies."""
LONGEST_NS: Final = 600 * NS
"""Duration after which a silence ends a run that pauses."""
UNCERTAIN_NS: Final = NS // 2
"""Longest time by which a beginning or an end that is seen in the counters differs from the true one. What was sent in
the last UNCERTAIN_NS is not reported yet, because its replies may be on their way."""
HARDLY_ANY: Final = 0.05
"""Share of the expected replies up to which the beginning can be computed from the replies."""
CAUSE: Final = "replies stopped at an unchanged rate"


@dataclass(slots=True)
class SilenceGuard:
    """Silence guard of one session, in the supervisor. `look` is called several times a second."""

    plan: Plan
    shared: Shared
    book: LossBook
    on_notice: Callable[[str], None]
    on_end: Callable[[str], None]
    """Called with the reason to end the run."""
    on_recovery: Callable[[], None]
    """Called when replies are back: measurements made meanwhile are meaningless."""
    detector: SilenceDetector = field(init=False)
    replies: ReplyTrack = field(init=False)
    drop: ReplyDrop | None = None
    """Silence that lasts now, if any."""
    _began_ns: int = 0
    _noticed_ns: int = 0
    _reported_ns: int = 0
    _seen: list[tuple[int, int, float]] = field(default_factory=list)
    """During silence: times, replies accepted and replies expected until then."""

    def __post_init__(self) -> None:
        """Create the detector, without any past."""
        self.replies = ReplyTrack(self.book.track, self.shared.arrivals)
        self.detector = SilenceDetector(len(self.plan.probes), self.plan.attempts)

    @property
    def paused(self) -> bool:
        """Return whether the rate is reduced until replies are back."""
        return bool(self.shared.trickle_pps[0])

    def look(self, now_ns: int) -> None:
        """Read the counters; begin or end a silence."""
        shared = self.shared
        attempts = 1 if self.plan.only_unanswered else self.plan.attempts  # repeats to silent targets get few replies
        counted = shared.sent[:, :, :attempts].sum(axis=(0, 2)) + shared.repaired[:, :, :attempts].sum(axis=(0, 2))
        replies = shared.accepted.sum(axis=0)
        if self.drop is not None:
            expected = float((counted * self.drop.hit_rates).sum())
            self._seen.append((now_ns, int(replies.sum()), expected))
            self._look_for_replies(now_ns)
        elif shared.hold[0] & HOLD_PATH or self.book.repairs.selective:
            self.detector.skip()
        elif self.detector.take(now_ns / NS, shared.blocks_drained(), counted, replies):
            found = self.detector.drop()
            if found is not None:
                self._begin(now_ns, found)
                self._seen = [(now_ns, int(replies.sum()), float((counted * found.hit_rates).sum()))]

    def _begin(self, now_ns: int, found: ReplyDrop) -> None:
        self.drop = found
        self._began_ns = int(found.since_s * NS)
        self._noticed_ns = now_ns
        if found.replies <= HARDLY_ANY * found.expected:  # the replies show more exactly when it began
            before_ns = self._began_ns - UNCERTAIN_NS
            self._began_ns = self.replies.broken_from(before_ns, now_ns) or self._began_ns
        self._reported_ns = self._began_ns
        mode = self.plan.config.on_silence
        after_s = self.book.after_s + (int(found.since_s * NS) - self.book.started_ns) / NS
        consequence = {
            "warn": "the scan continues",
            "pause": f"it continues at {self._trickle():,.4g} packets/s of each probe until replies are back",
            "stop": "it ends here",
        }[mode]
        self.on_notice(
            f"silence: {found.replies:,.0f} replies since {after_s:.1f} s, where {found.expected:,.0f} were to be"
            f" expected: {consequence}"
        )
        self._report(now_ns if mode == "stop" else now_ns - UNCERTAIN_NS)
        if mode == "pause":
            self.shared.trickle_pps[0] = self._trickle()
        elif mode == "stop":
            self.shared.pause(HOLD_SILENCE)
            self.on_end(f"{CAUSE} after {after_s:.0f} s (on_silence: stop)")

    def _trickle(self) -> float:
        """Return a rate that spends few targets and soon shows whether replies are back, in packets/s per probe."""
        rate_pps = float(self.shared.rate_pps[0])
        hits = float(self.drop.hit_rates.sum()) if self.drop is not None else 1.0
        least, most = (share * rate_pps for share in TRICKLE_SHARES)
        wanted = min(most, max(least, TRICKLE_REPLIES / max(hits, 1e-9)))
        return max(float(MIN_RATE_PPS), wanted)

    def _look_for_replies(self, now_ns: int) -> None:
        """Check whether replies are back, or have been missing for too long."""
        self._seen = [sample for sample in self._seen if sample[0] >= now_ns - BACK_NS]
        paused_ns = now_ns - self._noticed_ns
        back_ns = self._back_since()
        if back_ns is not None:
            self._end(now_ns, back_ns, f"replies are back after {paused_ns / NS:.1f} s")
        elif self.paused and paused_ns > LONGEST_NS:
            self._report(now_ns)
            self.on_end(f"{CAUSE}, and none came for {LONGEST_NS // NS // 60} minutes")
        elif now_ns >= self._reported_ns + REPORT_EVERY_NS + UNCERTAIN_NS:
            self._report(now_ns - UNCERTAIN_NS)  # replies to what was sent later may be on their way
            self._try(paused_ns)

    def _back_since(self) -> int | None:
        """Return since when replies have been back, or None if they are not."""
        _, replies, expected = self._seen[-1]
        enough = [sample for sample in self._seen if expected - sample[2] >= BACK_EXPECTED]
        begin = enough[-1] if enough else self._seen[0]
        if replies - begin[1] < max(BACK_REPLIES, BACK * (expected - begin[2])):
            return None
        since = self._seen[-1]
        for earlier, later in reversed(list(pairwise(self._seen))):
            if later[1] - earlier[1] < max(1, BACK * (later[2] - earlier[2])):
                break
            since = earlier
        return since[0]

    def _try(self, paused_ns: int) -> None:
        """Interrupt a pause regularly by BACK_NS at the full rate, if its trickle is too low to show replies.

        If the trickle is high enough, trying the full rate would only waste targets.
        """
        if self.plan.config.on_silence != "pause" or self.drop is None:
            return
        trickle_pps = self._trickle()
        too_few = trickle_pps * float(self.drop.hit_rates.sum()) * BACK_NS / NS < 2 * BACK_REPLIES
        trying = too_few and paused_ns % TRY_AFTER_NS > TRY_AFTER_NS - BACK_NS
        self.shared.trickle_pps[0] = 0.0 if trying else trickle_pps

    def _end(self, now_ns: int, back_ns: int, text: str) -> None:
        quiet_ns = max(self._began_ns, back_ns - UNCERTAIN_NS)
        self._report(self.replies.back_from(quiet_ns, now_ns, self._began_ns - UNCERTAIN_NS) or back_ns)
        self.drop = None
        self.shared.trickle_pps[0] = 0.0
        self.detector.forget()
        self.on_notice(f"silence: {text}")
        self.on_recovery()

    def finish(self, now_ns: int) -> None:
        """Report what a silence has cost that lasts until the end of the run."""
        if self.drop is not None:
            self._report(now_ns)

    def _report(self, end_ns: int) -> None:
        """Report the silence from where it was last reported until `end_ns`."""
        start_ns = self._reported_ns
        if end_ns > start_ns:
            self._reported_ns = end_ns
            self.book.report(LossInterval(start_ns, end_ns, CAUSE), Certainty.SILENCE, margin_ns=MARGIN_NS)
