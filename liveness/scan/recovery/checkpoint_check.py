"""Check of a checkpoint against the plan of its run: positions, counts and stretches must be within their ranges."""

import math
from collections.abc import Iterator
from typing import Final

from liveness.order.order import Position
from liveness.runs.checkpoint import Checkpoint
from liveness.scan.plan import Plan
from liveness.scan.send.positions import TICK_BITS
from liveness.space.intervals import ADDRESS_SPACE

MOST_TICKS: Final = 1 << 60
MOST_PPS: Final = 1e12


def misfits(plan: Plan, checkpoint: Checkpoint) -> Iterator[str]:
    """Yield one line for each part of a checkpoint that does not fit the plan: its JSON path and what is wrong."""
    lanes = len(plan.probes) * plan.attempts
    if len(checkpoint.positions) not in (0, plan.senders):
        yield f"$.positions: {len(checkpoint.positions)} of them, where {plan.senders} send"
    for at, position in enumerate(checkpoint.positions):
        if not _is_position(position, len(plan.order.parts), lanes):
            yield f"$.positions[{at}]: no place in this run"
    if checkpoint.positions and not _is_table(checkpoint.sent, len(plan.probes), plan.attempts):
        yield f"$.sent: expected {len(plan.probes)} rows of {plan.attempts} counts"
    if not 0 <= checkpoint.rate_pps <= MOST_PPS or not math.isfinite(checkpoint.totals.elapsed_s):
        yield "$.rate_pps: no rate"
    if len(checkpoint.totals.errors) not in (0, len(plan.probes)):
        yield f"$.totals.errors: expected a count for each of {len(plan.probes)} probes"
    for at, span in enumerate(checkpoint.losses.pending):
        place = Position(block=span.block, tick=0, lags=span.lags, begins=span.begins)
        ticks = (span.first, span.last, span.margin, span.edge, span.tries)
        fits = _is_position(place, len(plan.order.parts), lanes) and all(abs(tick) <= MOST_TICKS for tick in ticks)
        fits &= 0 <= span.lowest <= span.highest < ADDRESS_SPACE and 0 <= span.share <= 1
        if not fits or not 0 <= span.sender < plan.senders or len(span.lags) != lanes:
            yield f"$.losses.pending[{at}]: no stretch of this run"


def _is_position(position: Position, blocks: int, lanes: int) -> bool:
    ticks = (position.tick, *position.lags)
    return (
        0 <= position.block <= blocks
        and position.tick < 1 << TICK_BITS
        and len(position.lags) in (0, lanes)
        and len(position.begins) in (0, lanes)
        and all(0 <= tick <= MOST_TICKS for tick in ticks)
        and all(abs(tick) <= MOST_TICKS for tick in position.begins)
    )


def _is_table(rows: list[list[int]], height: int, width: int) -> bool:
    return len(rows) == height and all(
        len(row) == width and all(0 <= count <= MOST_TICKS for count in row) for row in rows
    )
