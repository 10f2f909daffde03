"""Recapture: how many responsive targets every attempt missed, estimated from those that some attempts found.

Two captures of one population: the first attempt, and all repeats together. If a reply is lost or not independently of
whether another was, the targets that both found tell which share of all targets each of them finds.
"""

import math
from typing import Final

from liveness.store.manifest import Counts, Missed

Z95: Final = 1.959964
"""The normal distribution's two-sided 95 % point."""


def missed_targets(patterns: Counts) -> Missed | None:
    """Return the estimate for one probe; `patterns` counts targets by attempts answered, one digit an attempt.

    Chapman's estimator of the population (Chapman 1951, as in Seber 1982, section 3.1) less the targets found; the
    interval is log-normal around those missed (Chao 1987), so that it never reaches below zero. None where there was
    one attempt only, or no target that both captures found: then nothing can be said.

    It is an estimate from below where losses come together (a target out of reach for longer than the queue lasts), for
    those who miss both attempts are then more than independence predicts.
    """
    first = sum(count for digits, count in patterns.items() if digits[0] == "1")
    later = sum(count for digits, count in patterns.items() if "1" in digits[1:])
    both = sum(count for digits, count in patterns.items() if digits[0] == "1" and "1" in digits[1:])
    if both == 0:
        return None
    estimate = (first - both) * (later - both) / (both + 1)  # Chapman's estimate less first + later - both
    variance = (first + 1) * (later + 1) * (first - both) * (later - both) / ((both + 1) ** 2 * (both + 2))
    if estimate == 0:
        return Missed(estimate=0.0, low=0.0, high=0.0)
    factor = math.exp(Z95 * math.sqrt(math.log(1 + variance / estimate**2)))
    return Missed(estimate=round(estimate, 3), low=round(estimate / factor, 3), high=round(estimate * factor, 3))
