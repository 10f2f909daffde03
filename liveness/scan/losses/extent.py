"""The extent of a loss: how many targets known losses concern, and for how many no attempt is left."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from liveness.runs.losses import LostSpan
from liveness.scan.plan import Plan

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Extent:
    """Targets, expected where only a share of what was sent was lost."""

    concerned: float = 0.0
    """Those that some lost probe was for."""
    missed: float = 0.0
    """Those of them that lost every attempt of some probe: nobody else has asked them what it would have."""
    probes: float = 0.0
    """Lost frames."""


def extent_of(spans: Sequence[LostSpan], plan: Plan) -> Extent:
    """Return the extent of what is lost in some spans, each target and probe counted once."""
    walks: dict[tuple[int, int], list[LostSpan]] = defaultdict(list)
    for span in spans:
        walks[span.sender, span.block].append(span)
    parts = [_extent_in_walk(lost, plan, block) for (_, block), lost in walks.items()]
    return Extent(
        sum(part.concerned for part in parts),
        sum(part.missed for part in parts),
        sum(part.probes for part in parts),
    )


def positions_of(span: LostSpan, lane: int, targets: int) -> tuple[int, int]:
    """Return the places in its sender's order, first and last + 1, that a lane sent to in a span."""
    lag, begin = span.lags[lane], span.begins[lane]
    first = min(max(0, max(span.first, begin) - lag), targets)
    return first, max(first, min(max(span.last, begin) - lag, targets))


def _extent_in_walk(spans: Sequence[LostSpan], plan: Plan, block: int) -> Extent:
    """Cut the order at every place where a lost stretch of some lane begins or ends, and add up the pieces."""
    targets = plan.order.most_targets(block, plan.share(spans[0].sender))
    probes, attempts = len(plan.probes), plan.attempts
    lanes = probes * attempts
    stretches = np.array(
        [[*positions_of(span, lane, targets), lane] for span in spans for lane in range(lanes)], np.int64
    )
    shares = np.array([span.share for span in spans for _ in range(lanes)])
    cuts = np.unique(stretches[:, :2])
    if len(cuts) < 2:  # noqa: PLR2004 - one piece lies between two cuts
        return Extent()
    lengths = np.diff(cuts).astype(float)
    lost: NDArray[np.float64] = np.zeros((lanes, len(lengths)))
    for (first, last, lane), share in zip(stretches.tolist(), shares.tolist(), strict=True):
        begin, end = np.searchsorted(cuts, (first, last))
        lost[lane, begin:end] = np.maximum(lost[lane, begin:end], share)
    by_attempt = lost.reshape(attempts, probes, -1)
    missed = 1 - np.prod(1 - by_attempt.prod(axis=0), axis=0)
    concerned = 1 - np.prod(1 - lost, axis=0)
    return Extent(float(concerned @ lengths), float(missed @ lengths), float((lost @ lengths).sum()))


def frames_by_probe(spans: Sequence[LostSpan], plan: Plan) -> "NDArray[np.int64]":
    """Return how many frames of each probe were sent in some spans."""
    probes = len(plan.probes)
    frames = np.zeros(probes, np.int64)
    for span in spans:
        targets = plan.order.most_targets(span.block, plan.share(span.sender))
        for lane in range(len(span.lags)):
            first, last = positions_of(span, lane, targets)
            frames[lane % probes] += last - first
    return frames
