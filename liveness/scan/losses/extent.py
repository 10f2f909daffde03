"""Extent of a loss: the number of targets that known losses concern, and of those that lost every attempt."""

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
    """Expected numbers of targets and frames, where only a share of what was sent was lost."""

    affected: float = 0.0
    """Targets of lost probes."""
    missed: float = 0.0
    """Targets that lost every attempt of some probe, so that no attempt of it reached them."""
    probes: float = 0.0
    """Lost frames."""


def extent_of(spans: Sequence[LostSpan], plan: Plan) -> Extent:
    """Return the extent of the loss in some spans. Each target and probe is counted once."""
    walks: dict[tuple[int, int], list[LostSpan]] = defaultdict(list)
    for span in spans:
        walks[span.sender, span.block].append(span)
    parts = [_extent_in_walk(lost, plan, block) for (_, block), lost in walks.items()]
    return Extent(
        sum(part.affected for part in parts),
        sum(part.missed for part in parts),
        sum(part.probes for part in parts),
    )


def positions_of(span: LostSpan, lane: int, targets: int) -> tuple[int, int]:
    """Return the places in a sender's order, first and last + 1, to which a lane sent probes in a span."""
    lag, begin = span.lags[lane], span.begins[lane]
    first = min(max(0, max(span.first, begin) - lag), targets)
    return first, max(first, min(max(span.last, begin) - lag, targets))


def _extent_in_walk(spans: Sequence[LostSpan], plan: Plan, block: int) -> Extent:
    """Return the extent of spans of one walk: cut the order where lost stretches begin or end, and sum the pieces."""
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
    # Losses of different lanes are taken as independent: a target is missed if all attempts of some probe are lost.
    missed = 1 - np.prod(1 - by_attempt.prod(axis=0), axis=0)
    affected = 1 - np.prod(1 - lost, axis=0)
    return Extent(float(affected @ lengths), float(missed @ lengths), float((lost @ lengths).sum()))


def frames_by_probe(spans: Sequence[LostSpan], plan: Plan) -> "NDArray[np.int64]":
    """Return the number of frames of each probe that were sent in some spans, (probes,)."""
    probes = len(plan.probes)
    frames = np.zeros(probes, np.int64)
    for span in spans:
        targets = plan.order.most_targets(span.block, plan.share(span.sender))
        for lane in range(len(span.lags)):
            first, last = positions_of(span, lane, targets)
            frames[lane % probes] += last - first
    return frames
