"""Steps of the search of `rate: auto`, as recorded in the manifest."""

from enum import StrEnum

from liveness.runs.course import RateStep
from liveness.scan.rate.hits import SHOWN_Z, Arm, Comparison


class Verdict(StrEnum):
    """The result of a step."""

    HOLDS = "holds"  # the hit rate at the candidate is that of the reference
    FELL = "fell"  # it is lower: the rate causes loss
    BLIND = "blind"  # the rate was raised without enough replies to judge it: at low rates only
    UNCLEAR = "unclear"  # too few replies to judge: the rate stays
    OWN_DROPS = "own-drops"  # packets were lost on our own side
    SENDER_BOUND = "sender-bound"  # the senders cannot keep up
    CHANGED = "changed"  # the hit rate dropped at a rate that was held: the rate is checked
    FASTER = "faster"  # requested by a signal
    SLOWER = "slower"  # requested by a signal


def step_of(after_s: float, verdict: Verdict, candidate: Arm, reference: Arm, next_pps: float) -> RateStep:
    """Return the record of a step: the verdict, the next rate and, if both arms were measured, their hit rates."""
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
    """Return a share rounded to six significant digits."""
    return float(f"{share:.6g}")
