"""Steps of the search of `rate: auto`, as the manifest keeps them."""

from enum import StrEnum

from liveness.runs.course import RateStep
from liveness.scan.rate.hits import SHOWN_Z, Arm, Comparison


class Verdict(StrEnum):
    """What came of a step."""

    HOLDS = "holds"  # the hit rate at the candidate is that of the reference
    FELL = "fell"  # it is lower: the rate causes loss
    BLIND = "blind"  # raised without enough replies to judge: low rates only
    UNCLEAR = "unclear"  # too few replies to tell: the rate stays
    OWN_DROPS = "own-drops"  # packets were lost on our own side
    SENDER_BOUND = "sender-bound"  # the senders cannot keep up
    CHANGED = "changed"  # the hit rate fell at a rate that was held: check it
    FASTER = "faster"  # told by a signal
    SLOWER = "slower"


def step_of(after_s: float, verdict: Verdict, candidate: Arm, reference: Arm, next_pps: float) -> RateStep:
    """Return the entry of a step: what was measured, where both rates were, what came of it, and how it went on."""
    step = RateStep(
        after_s=round(after_s, 3),
        verdict=str(verdict),
        rate_pps=round(candidate.rate_pps, 3),
        next_pps=round(next_pps, 3),
    )
    if not (candidate.windows and reference.windows):
        return step
    found = Comparison.of(candidate, reference)
    low, high = candidate.hit_rate_interval(found.spread)
    ratio_low, ratio_high = found.bounds(SHOWN_Z)
    return RateStep(
        after_s=step.after_s,
        verdict=step.verdict,
        rate_pps=step.rate_pps,
        next_pps=step.next_pps,
        hit_rate=_rounded(candidate.hit_rate),
        hit_rate_low=_rounded(low),
        hit_rate_high=_rounded(high),
        reference_pps=round(reference.rate_pps, 3),
        reference_hit_rate=_rounded(reference.hit_rate),
        ratio_low=_rounded(ratio_low),
        ratio_high=_rounded(ratio_high),
    )


def _rounded(share: float) -> float:
    """Return a share with six digits."""
    return float(f"{share:.6g}")
