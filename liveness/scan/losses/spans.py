"""Stretches of a walk through the order: joined, given margins, and limited to what a repair was to mend."""

from itertools import pairwise
from typing import Final

import msgspec

from liveness.runs.losses import LostSpan

MOST_SPANS: Final = 128
"""Stretches kept per sender; above this number the two nearest are joined."""


def joined(span: LostSpan, other: LostSpan) -> LostSpan:
    """Return one span that covers two of the same walk. Its lost share is weighted by their lengths.

    An uncertain end (`edge`) gives way to a certain one near it, and what lies between them becomes margin.
    """
    early, late = (span, other) if span.first <= other.first else (other, span)
    first = late if late.edge == 0 and early.first + early.edge >= late.first else early
    late, early = (span, other) if span.last >= other.last else (other, span)
    last = early if early.edge == 0 and late.last - late.edge <= early.last else late
    margin = max(
        first.first - min(either.first - either.margin for either in (span, other)),
        max(either.last + either.margin for either in (span, other)) - last.last,
    )
    lost = span.share * (span.last - span.first) + other.share * (other.last - other.first)
    return LostSpan(
        sender=span.sender,
        block=span.block,
        first=first.first,
        last=last.last,
        lags=span.lags,
        begins=span.begins,
        share=min(1.0, lost / max(1, last.last - first.first)),
        margin=margin,
        edge=min(first.edge, last.edge),
        lowest=min(span.lowest, other.lowest),
        highest=max(span.highest, other.highest),
        tries=max(span.tries, other.tries),
    )


def with_margins(spans: list[LostSpan], wide: list[LostSpan]) -> tuple[list[LostSpan], list[LostSpan]]:
    """Return `spans` with margins up to the ends of the `wide` spans around them, and other wide spans as margins."""
    found = []
    for span in spans:
        around = [wider for wider in wide if wider.overlaps(span)]
        margin = max([span.margin, *(max(span.first - wider.first, wider.last - span.last) for wider in around)])
        found.append(msgspec.structs.replace(span, margin=margin))
    apart = [wider for wider in wide if not any(wider.overlaps(span) for span in spans)]
    return found, [as_margin(wider) for wider in apart]


def as_margin(span: LostSpan) -> LostSpan:
    """Return a stretch of length 0 whose margin covers `span`: it is sent again, but not counted as lost."""
    middle = (span.first + span.last) // 2
    reach = max(middle - span.first, span.last - middle)
    return msgspec.structs.replace(span, first=middle, last=middle, margin=span.margin + reach)


def still_lost(repaired: LostSpan, span: LostSpan, share: float) -> LostSpan:
    """Return what is lost of a stretch if `span` of it was lost again while it was sent again.

    Whatever else the repair sent had not been lost before. `share` is the share of the first loss that was lost again.
    """
    first, last = max(span.first, repaired.first), min(span.last, repaired.last)
    tries = repaired.tries + 1
    if first >= last:
        return msgspec.structs.replace(as_margin(span), tries=tries)
    margin = max(span.margin, first - span.first, span.last - last)
    edge = min(span.edge, margin)
    return msgspec.structs.replace(span, first=first, last=last, share=share, margin=margin, edge=edge, tries=tries)


def add_span(spans: list[LostSpan], span: LostSpan) -> None:
    """Add a stretch, joined with one that it touches; above MOST_SPANS, join the two nearest of the sender."""
    for place, other in enumerate(spans):
        if other.overlaps(span):
            spans[place] = joined(other, span)
            return
    spans.append(span)
    mine = sorted(
        (other for other in spans if other.sender == span.sender), key=lambda other: (other.block, other.first)
    )
    if len(mine) <= MOST_SPANS:
        return
    gaps = [
        (later.first - earlier.last, place)
        for place, (earlier, later) in enumerate(pairwise(mine))
        if (earlier.block, earlier.lags, earlier.begins) == (later.block, later.lags, later.begins)
    ]
    if gaps:
        place = min(gaps)[1]
        nearest, other = mine[place], mine[place + 1]
        spans.remove(nearest)
        spans.remove(other)
        spans.append(joined(nearest, other))
