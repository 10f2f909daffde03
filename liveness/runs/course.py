"""The course of a run, as its manifest has it: counts by interval, rates, events of the path, lag of the probes."""

from typing import Final

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType, field
from numpy.typing import NDArray

PERCENTILE: Final = 80
"""The paper reports the lag below which 80 % of targets are (Bano et al. 2018, section 3)."""


class RateChange(Struct, frozen=True, kw_only=True):
    """A change of the rate while the run went on: when, and the packets a second of each probe from then on."""

    after_s: float
    rate_pps: float


class Timeline(Struct, frozen=True, kw_only=True):
    """The run by intervals, each list with one entry an interval: when it ended, seconds since the start, and counts.

    `packets` are those past the capture filter, `interface_sent` and `interface_received` what the interface counted.
    """

    end_s: list[float] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    completed: list[int] = field(default_factory=list)
    send_errors: list[int] = field(default_factory=list)
    packets: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    kernel_drops: list[int] = field(default_factory=list)
    nic_drops: list[int] = field(default_factory=list)
    interface_sent: list[int] = field(default_factory=list)
    interface_received: list[int] = field(default_factory=list)

    def followed_by(self, later: "Timeline", after_s: float) -> "Timeline":
        """Return this timeline followed by that of a later session, whose times count from `after_s`."""
        columns = {name: getattr(self, name) + getattr(later, name) for name in self.__struct_fields__}
        columns["end_s"] = self.end_s + [round(after_s + end, 3) for end in later.end_s]
        return Timeline(**columns)


class RateStep(Struct, frozen=True, kw_only=True):
    """A step of the search of `rate: auto`. Rates are packets a second of each probe, hit rates first replies a probe.

    The hit rate at `rate_pps` was compared with that at `reference_pps`, sent in turn; intervals are of 95 %, those of
    the ratio to be read as rate over reference. `verdict` is the outcome, `next_pps` the rate after it.
    """

    after_s: float
    verdict: str
    rate_pps: float
    next_pps: float
    hit_rate: float | None = None
    hit_rate_low: float | None = None
    hit_rate_high: float | None = None
    reference_pps: float | None = None
    reference_hit_rate: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None


class RateSearch(Struct, frozen=True, kw_only=True):
    """The search of `rate: auto`: the rate of each probe that it found, why that is below the limit, and every step.

    `checked` is false where that rate was only passed while doubling: the run was too short for more.
    """

    found_pps: float
    checked: bool
    limit_pps: float
    limited_by: str | None = None
    steps: list[RateStep] = field(default_factory=list)

    def followed_by(self, later: "RateSearch", elapsed_s: float) -> "RateSearch":
        """Return this search followed by its continuation in a later session, `elapsed_s` after this one began."""
        steps = [msgspec.structs.replace(step, after_s=round(elapsed_s + step.after_s, 3)) for step in later.steps]
        return msgspec.structs.replace(later, steps=self.steps + steps)


class LanePassing(Struct, frozen=True, kw_only=True):
    """When one lane (probe, attempt) of one block passed each record point, in seconds since the run's start."""

    block: str
    probe: str
    attempt: int
    passed_s: list[float | None]


class Lag(Struct, frozen=True, kw_only=True):
    """The time between the probes to one target, measured at every `every_targets`-th target of each block."""

    every_targets: int = 0
    lanes: list[LanePassing] = field(default_factory=list)
    max_s: float | None = None
    p80_s: float | None = None
    began: str | UnsetType = UNSET
    """The time from which `passed_s` counts, UTC: with it the lags between runs of several places are known, too."""
    offset_s: float | UnsetType = UNSET
    """How much later than the agreed start this place was to begin; absent if it was to begin then."""


def lag_of(every_targets: int, lanes: list[LanePassing], spreads: NDArray[np.float64]) -> Lag:
    """Return a lag record; `spreads` are the times in seconds between the first probes of each recorded target."""
    return Lag(
        every_targets=every_targets,
        lanes=lanes,
        max_s=round(float(spreads.max()), 6) if len(spreads) else None,
        p80_s=round(float(np.percentile(spreads, PERCENTILE)), 6) if len(spreads) else None,
    )


class PathEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finding or an event on the path to the targets, and the action that was taken."""

    at: str
    after_s: float
    """Seconds since the run's start, pauses between sessions not counted."""
    what: str
    """``link``, ``neighbour``, ``address``, ``route`` or ``source``."""
    detail: str
    action: str
    """``noted``, ``left-out``, ``paused``, ``resumed``, ``redirected`` or ``ended``."""
    targets: int | None = None
    """How many targets it concerns, where that is known."""
