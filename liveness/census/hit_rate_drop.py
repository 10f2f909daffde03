"""Hit rates from run to run: the share of targets of each probe that answered, and drops of it.

A drop is reported if the hit rate is, with high confidence, lower than that of the last run by more than a given share.
With `a` of `n` targets answered now and `A` of `N` then, the logarithm of the ratio of the two rates has the standard
error sqrt(1/a - 1/n + 1/A - 1/N) (Katz et al. 1978). One half is added to each count, so that zero answers can be
judged too (Walter 1975). The one-sided confidence is 99.9 % for all probes of a run together (Bonferroni): if nothing
has changed but chance, at most one run in a thousand raises an alarm.

A hit rate that decreases slowly never drops far from one run to the next. A run is therefore also compared with a
baseline, the median of the hit rates of the last `BASELINE_RUNS` complete runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, median
from typing import Final

from liveness.analysis.numbers import percent
from liveness.census.record import Record
from liveness.runs.manifest import Manifest

FALSE_ALARMS: Final = 0.001
"""Highest probability of any alarm in a run whose true hit rates did not drop by more than the given share."""
BASELINE_RUNS: Final = 8
LEAST_RUNS: Final = 3
LEAST_ANSWERED: Final = 20
"""Fewest answers in the earlier run from which a drop is judged."""


@dataclass(frozen=True, slots=True)
class HitRate:
    """Number of targets of a probe that anything answered for, errors included, out of all its targets."""

    answered: int
    targets: int

    @property
    def share(self) -> float:
        """Hit rate; 0 if nothing was sent."""
        return self.answered / self.targets if self.targets else 0.0


@dataclass(frozen=True, slots=True)
class HitRateDrop:
    """Drop of a hit rate. `most` is the upper confidence limit of the ratio of the rates now and then.

    `since` describes what the rate was compared with.
    """

    probe: str
    now: HitRate
    then: HitRate
    most: float
    since: str = ""

    def __str__(self) -> str:
        """Return the alarm as text for users."""
        return (
            f"hit rate of {self.probe} fell from {percent(self.then.share, 2)} to {percent(self.now.share, 2)}"
            f" (to {percent(self.most, 0)} of it at most, with 99.9 % confidence){self.since}"
        )


def hit_rates(manifest: Manifest) -> dict[str, HitRate]:
    """Return the hit rate of each probe of a run."""
    return {
        probe: HitRate(sum(manifest.attempts.get(probe, {}).values()), counts.sent[0] if counts.sent else 0)
        for probe, counts in manifest.probes.items()
    }


def hit_rate_drops(now: Manifest, then: Manifest, threshold: float) -> list[HitRateDrop]:
    """Return the probes whose hit rate dropped by more than the share `threshold` since the run of manifest `then`."""
    return _drops(hit_rates(now), hit_rates(then), threshold)


def drops_below_median(now: Manifest, records: Sequence[Record], threshold: float) -> list[HitRateDrop]:
    """Return the probes whose hit rate is lower than their median over earlier runs by more than the share `threshold`.

    The last BASELINE_RUNS complete runs of `records` (newest last) are used; a baseline needs at least LEAST_RUNS.
    """
    earlier = [record for record in records if record.status == "complete" and record.hit_rates][-BASELINE_RUNS:]
    rates, baseline = hit_rates(now), {}
    for probe in rates:
        known = [record for record in earlier if probe in record.hit_rates]
        if len(known) >= LEAST_RUNS:
            share = median(record.hit_rates[probe] for record in known)
            targets = round(median(record.targets or 0 for record in known))
            baseline[probe] = HitRate(round(share * targets), targets)
    found = _drops(rates, baseline, threshold)
    return [replace(drop, since=f", the median of the last {len(earlier)} runs") for drop in found]


def _drops(rates: dict[str, HitRate], earlier: dict[str, HitRate], threshold: float) -> list[HitRateDrop]:
    common = [probe for probe in rates if probe in earlier and rates[probe].targets]
    common = [probe for probe in common if earlier[probe].answered >= LEAST_ANSWERED]
    found = []
    for probe in common:
        most = highest_ratio(rates[probe], earlier[probe], FALSE_ALARMS / len(common))
        if most < 1 - threshold:
            found.append(HitRateDrop(probe, rates[probe], earlier[probe], most))
    return found


def highest_ratio(now: HitRate, then: HitRate, chance: float) -> float:
    """Return the one-sided upper confidence limit of the ratio of two hit rates; `chance` is that of exceeding it."""
    a, n, before, of = now.answered + 0.5, now.targets + 0.5, then.answered + 0.5, then.targets + 0.5
    error = math.sqrt(max(0.0, 1 / a - 1 / n + 1 / before - 1 / of))
    return math.exp(math.log(a / n) - math.log(before / of) + NormalDist().inv_cdf(1 - chance) * error)
