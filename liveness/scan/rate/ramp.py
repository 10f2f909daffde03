"""The ramp of `rate: auto`: a state machine that takes counters and returns the rate to send at.

Targets are probed in random order, so the targets of any two windows of time are random samples of one population: if
the hit rate is lower at a higher rate, the rate itself causes loss. Windows at a candidate rate and at a lower
reference rate alternate, so that slow changes of the network affect both. `docs/rate.md` describes the method and its
limits.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from liveness.runs.course import RateStep
from liveness.scan.rate.hits import Arm, Comparison
from liveness.scan.rate.slices import Sample, Slices
from liveness.scan.rate.step import Verdict, step_of

SETTLE_S: Final = 2.0
"""Time after a change of rate in which nothing is counted, because replies to earlier probes still arrive."""
START_WINDOW_S: Final = 3.0
CHECK_WINDOW_S: Final = 6.0
START_TOLERANCE: Final = 0.4
"""Drop of the hit rate, as a share, that is accepted while the rate doubles; at twice the capacity it would halve."""
CHECK_TOLERANCE: Final = 0.05
"""Drop of the hit rate, as a share, that is accepted at a rate that is kept."""
BUDGET_S: Final = 300.0
"""Counted time after which a comparison ends without a decision."""
BLIND_PPS: Final = 1_000.0
"""Up to this rate of one probe, the default rate, a step is accepted without enough replies to judge it."""
MIN_PPS: Final = 10.0
SHORTFALL: Final = 0.05
"""Largest share of the time that senders may skip because they cannot keep up."""
MOST_SHORT: Final = 3
"""A window with such a shortfall is measured again until so many in a row had one: the host may just have been busy."""
FIRST_STEP: Final = 0.1
"""Share of the first step above a rate beyond which loss was found; it doubles with each step that succeeds."""
BELOW_CAPACITY: Final = 0.95
"""Share of an estimated capacity at which the search continues."""
OWN_STEP_BACK: Final = 0.75
"""Factor on the rate after packets were lost on our own side."""
HOLD_S: Final = 30.0
LONGEST_HOLD_S: Final = 600.0
"""A rate is held for HOLD_S before a higher one is tried; the time doubles with each hold, up to LONGEST_HOLD_S."""
WATCH_S: Final = 30.0
"""Length of the measurements that are watched for a drop of the hit rate while a rate is held."""
WATCH_FALL: Final = 0.9
"""If the hit rate drops below this share of its earlier value while a rate is held, the rate is checked at once."""


class Phase(StrEnum):
    """Phases of the search."""

    START = "start"  # the rate doubles from step to step
    CHECK = "check"  # a rate is compared with its half at a low tolerance
    HOLD = "hold"  # a rate that was found is kept


@dataclass(slots=True)
class Ramp:
    """The search; `update` takes the next sample and returns the rate. Rates are packets per second of one probe."""

    start_pps: float
    limit_pps: float
    probes: int
    steps: list[RateStep] = field(default_factory=list)
    phase: Phase = field(default=Phase.START, init=False)
    good_pps: float = field(init=False)
    """The highest rate found good, or the start rate."""
    candidate: Arm = field(init=False)
    reference: Arm = field(init=False)
    checked: bool = field(default=False, init=False)
    """Whether the good rate has passed the comparison with its half (CHECK), and not only a step of doubling."""
    testing: bool = field(default=False, init=False)
    """Whether the current rate is that of the candidate, not of the reference."""
    limited_by: Verdict | None = field(default=None, init=False)
    """What keeps the rate below its limit, None while nothing does."""
    highest_limit_pps: float = field(init=False)
    _window: Arm = field(init=False)
    _slices: Slices = field(default_factory=Slices, init=False)
    _settled_s: float = field(default=0.0, init=False)
    _short: int = field(default=0, init=False)
    """Windows in a row in which the senders could not keep up."""
    _step: float = field(default=FIRST_STEP, init=False)
    _failed_pps: float | None = field(default=None, init=False)
    """The lowest rate that was found too high and not found good later."""
    _hold_s: float = field(default=HOLD_S, init=False)
    _held_s: float = field(default=0.0, init=False)
    _baseline: Arm | None = field(default=None, init=False)
    """Measurements of the check of the rate that is held, in this block."""

    def __post_init__(self) -> None:
        """Begin at the start rate."""
        self.highest_limit_pps = self.limit_pps
        self.good_pps = min(self.start_pps, self.limit_pps)
        self._double()

    @property
    def rate_pps(self) -> float:
        """Rate to send at now."""
        return self.candidate.rate_pps if self.testing else self.reference.rate_pps

    def _compare(self, candidate_pps: float, reference_pps: float, *, testing: bool) -> None:
        self.candidate = Arm.at(candidate_pps, self.probes)
        self.reference = Arm.at(reference_pps, self.probes)
        self._send(testing=testing)

    def _send(self, *, testing: bool) -> None:
        self.testing = testing
        self._window = Arm.at(self.rate_pps, self.probes)
        self._settled_s = 0.0

    def update(self, sample: Sample) -> float:
        """Process the current counters and return the rate to send at."""
        if self._slices.begins_block(sample):
            self._baseline = None
            self._begin_block()
            return self.rate_pps
        found = self._slices.take(sample, self.rate_pps)
        if found is None:
            return self.rate_pps
        if found.irregular:
            self._send(testing=self.testing)
        elif self._settled_s < SETTLE_S:
            self._settled_s += found.seconds
        elif found.own_drops:
            self._step_back(sample.time_s, Verdict.OWN_DROPS, OWN_STEP_BACK * self.rate_pps)
        else:
            self._window.add_slice(found.sent, found.hits, found.seconds, found.given_up_s)
            self._count(sample.time_s)
        return self.rate_pps

    def measure_again(self) -> None:
        """Discard the counts of the current window, because the network was broken meanwhile."""
        self._slices.restart()
        self._baseline = None
        self._send(testing=self.testing)

    def _begin_block(self) -> None:
        """Restart the measurement, because a new block is another population.

        If the last block had too few replies to judge a rate, doubling starts again: this one may have more.
        """
        if self.limited_by is Verdict.UNCLEAR:
            self._double()
        else:
            self._compare(self.candidate.rate_pps, self.reference.rate_pps, testing=self.phase is not Phase.START)

    def _double(self) -> None:
        self.phase = Phase.START
        self._compare(min(2 * self.good_pps, self.limit_pps), self.good_pps, testing=False)

    def _count(self, time_s: float) -> None:
        """Add the current window to its arm if it is long enough, and decide how to continue."""
        if self._window.seconds < (START_WINDOW_S if self.phase is Phase.START else CHECK_WINDOW_S):
            return
        if self.phase is not Phase.HOLD:
            self._short = self._short + 1 if self._window.shortfall > SHORTFALL else 0
            if 0 < self._short < MOST_SHORT:
                self._send(testing=self.testing)
                return
            self._short = 0
        (self.candidate if self.testing else self.reference).add_window(self._window)
        if self.phase is Phase.HOLD:
            self._watch(time_s)
            return
        if self.candidate.windows and self.reference.windows:
            self._judge(time_s)
        else:
            self._send(testing=not self.testing)

    def _judge(self, time_s: float) -> None:
        """Judge the candidate by the windows so far; if they do not decide, continue to measure."""
        found = Comparison.of(self.candidate, self.reference)
        rate = self.candidate.rate_pps
        pairs = min(len(self.candidate.windows), len(self.reference.windows))
        given_up = self.candidate.seconds + self.reference.seconds >= BUDGET_S
        if self.candidate.shortfall > SHORTFALL:
            self._step_back(time_s, Verdict.SENDER_BOUND, BELOW_CAPACITY * rate * (1 - self.candidate.shortfall))
        elif found.fell and pairs > 1:
            self._step_back(time_s, Verdict.FELL, BELOW_CAPACITY * rate * found.ratio)
        elif found.holds(START_TOLERANCE if self.phase is Phase.START else CHECK_TOLERANCE):
            self._accept(time_s, Verdict.HOLDS)
        elif not given_up:
            self._send(testing=not self.testing)
        elif self.phase is Phase.START and rate <= BLIND_PPS:
            self._accept(time_s, Verdict.BLIND)
        else:
            self._stay(time_s)

    def _accept(self, time_s: float, verdict: Verdict) -> None:
        """Accept the candidate as a good rate and continue from it."""
        tried, rate = (self.candidate, self.reference), self.candidate.rate_pps
        climbed = self.checked and rate > self.good_pps
        self.good_pps = rate
        if verdict is Verdict.HOLDS and self.limited_by is Verdict.UNCLEAR:
            self.limited_by = None
        if self.phase is Phase.START and rate < self.limit_pps:
            last = self._window if self.testing else None
            self._compare(min(2 * rate, self.limit_pps), rate, testing=last is not None)
            if last is not None:
                self.reference.add_window(last)  # it was measured at this rate, which is the reference now
        elif self.phase is Phase.START:
            self._check(rate)
        else:
            self.checked = True
            if climbed and (self._failed_pps is None or rate >= self._failed_pps):
                self._step, self._hold_s, self._failed_pps = min(1.0, 2 * self._step), HOLD_S, None
            if rate >= self.limit_pps:
                self.limited_by = None
            self._hold(rate)
        self._record(time_s, verdict, tried)

    def _step_back(self, time_s: float, verdict: Verdict, estimate_pps: float) -> None:
        """Continue below a rate that lost packets, at the estimated capacity."""
        tried = self.candidate, self.reference
        rate = self.rate_pps if verdict is Verdict.OWN_DROPS else self.candidate.rate_pps
        lowest = self.good_pps if self.phase is Phase.START and verdict is not Verdict.OWN_DROPS else rate / 2
        back = max(MIN_PPS, min(max(estimate_pps, lowest), 0.9 * rate))
        self.limited_by = verdict
        self._step = FIRST_STEP
        self._failed_pps = min(rate, self._failed_pps or rate)
        if self.checked and rate > self.good_pps and (back >= self.good_pps or verdict is Verdict.OWN_DROPS):
            self._hold(self.good_pps)  # only a step up has failed: the rate below it is still good
        else:
            self.checked = False
            self.good_pps = min(self.good_pps, back)
            self._check(back)
        self._record(time_s, verdict, tried)

    def _stay(self, time_s: float) -> None:
        """Return to the last good rate, because the candidate could not be judged."""
        tried = self.candidate, self.reference
        if self.phase is Phase.START:
            self.limited_by = Verdict.UNCLEAR
        self._hold(min(self.good_pps, self.candidate.rate_pps))
        self._record(time_s, Verdict.UNCLEAR, tried)

    def _check(self, rate_pps: float) -> None:
        self.phase = Phase.CHECK
        self._compare(rate_pps, rate_pps / 2, testing=True)

    def _hold(self, rate_pps: float) -> None:
        measured = self.candidate
        self.phase = Phase.HOLD
        self._held_s = 0.0
        self._compare(rate_pps, rate_pps, testing=True)
        if measured.rate_pps == rate_pps and measured.windows:
            self._baseline = measured

    def _watch(self, time_s: float) -> None:
        """Check the rate that is held if its hit rate drops, and try a higher one after the hold time."""
        rate = self.candidate.rate_pps
        self._held_s += self._window.seconds
        self._window = Arm.at(rate, self.probes)
        if self._baseline is not None:
            found = Comparison.of(self.candidate, self._baseline)
            if found.fell and found.ratio < WATCH_FALL:
                tried = self.candidate, self.reference
                self._check(rate)
                self._record(time_s, Verdict.CHANGED, tried)
                return
        if self._held_s >= self._hold_s:
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
            if self.limited_by is Verdict.UNCLEAR:
                self._double()
            else:
                self._check(min(self.limit_pps, rate * (1 + self._step)))
        elif self.candidate.seconds >= WATCH_S:
            self.candidate = Arm.at(rate, self.probes)

    def lower(self, time_s: float, share: float) -> None:
        """Lower the rate by `share`, and the limit of the search to the new rate."""
        tried, now = (self.candidate, self.reference), self._nominal()
        self.limit_pps = max(MIN_PPS, now * (1 - share))
        self.good_pps = min(self.good_pps, self.limit_pps)
        self._check(self.limit_pps)
        self._record(time_s, Verdict.SLOWER, tried)

    def higher(self, time_s: float, share: float) -> None:
        """Raise the limit by `share`, at most to the first limit; if a rate is held, try `share` more at once.

        The search continues: the higher rate stays only if the hit rate holds.
        """
        tried, now = (self.candidate, self.reference), self._nominal()
        self.limit_pps = min(self.highest_limit_pps, self.limit_pps * (1 + share))
        if self.phase is Phase.HOLD:
            self._check(min(self.limit_pps, now * (1 + share)))
        self._record(time_s, Verdict.FASTER, tried)

    def _nominal(self) -> float:
        """Return the rate that the search has reached; the current rate may be a reference below it."""
        return self.good_pps if self.phase is Phase.START else self.candidate.rate_pps

    def _record(self, time_s: float, verdict: Verdict, tried: tuple[Arm, Arm]) -> None:
        self.steps.append(step_of(time_s, verdict, *tried, self._nominal()))
