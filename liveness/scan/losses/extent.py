"""Extent of a loss: the number of targets that known losses concern, and of those that lost every attempt."""

import itertools
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
    return _sum(parts)


def positions_of(span: LostSpan, lane: int, targets: int) -> tuple[int, int]:
    """Return the places in a sender's order, first and last + 1, to which a lane sent probes in a span."""
    lag, begin = span.lags[lane], span.begins[lane]
    first = min(max(0, max(span.first, begin) - lag), targets)
    return first, max(first, min(max(span.last, begin) - lag, targets))


def _extent_in_walk(spans: Sequence[LostSpan], plan: Plan, block: int) -> Extent:
    """Return the extent of spans of one walk: cut the order where lost stretches begin or end, and sum the pieces."""
    targets = plan.order.most_targets(block, plan.share(spans[0].sender))
    lanes = len(plan.probes) * plan.attempts
    cuts = np.unique([positions_of(span, lane, targets) for span in spans for lane in range(lanes)])
    if len(cuts) < 2:  # noqa: PLR2004 - one piece lies between two cuts
        return Extent()

    def lost_in(group: Sequence[LostSpan]) -> "NDArray[np.float64]":
        """Return the lost share of each piece in each lane, (lanes, pieces)."""
        lost = np.zeros((lanes, len(cuts) - 1))
        for span, lane in itertools.product(group, range(lanes)):
            begin, end = np.searchsorted(cuts, positions_of(span, lane, targets))
            lost[lane, begin:end] = np.maximum(lost[lane, begin:end], span.share)
        return lost

    selective: dict[tuple[int, int], list[LostSpan]] = defaultdict(list)
    for span in spans:
        if span.selective:
            selective[span.lowest, span.highest].append(span)
    # The lost share of a selective span is that of its targets: they lost every probe, and spans with other bounds are
    # those of other targets.
    shares = [lost_in(group).max(axis=0) for group in selective.values()]
    total = np.sum([np.zeros(len(cuts) - 1), *shares], axis=0)
    lengths = np.diff(cuts).astype(float)
    common = lost_in([span for span in spans if not span.selective])
    parts = [_expected(common, lengths * (1 - np.minimum(1, total)), plan)]
    for group, share in zip(selective.values(), shares, strict=True):
        among = lost_in(group) / np.where(share > 0, share, 1)
        parts.append(_expected(np.maximum(common, among), lengths * share / np.maximum(1, total), plan))
    return _sum(parts)


def _expected(lost: "NDArray[np.float64]", targets: "NDArray[np.float64]", plan: Plan) -> Extent:
    """Return the extent of a loss among some targets of each piece, from its share in each lane, (lanes, pieces).

    Losses of different lanes are taken as independent: a target is missed if all attempts of some probe are lost.
    """
    by_attempt = lost.reshape(plan.attempts, len(plan.probes), -1)
    missed = 1 - np.prod(1 - by_attempt.prod(axis=0), axis=0)
    affected = 1 - np.prod(1 - lost, axis=0)
    return Extent(float(affected @ targets), float(missed @ targets), float((lost @ targets).sum()))


def _sum(parts: Sequence[Extent]) -> Extent:
    return Extent(
        sum(part.affected for part in parts),
        sum(part.missed for part in parts),
        sum(part.probes for part in parts),
    )


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
