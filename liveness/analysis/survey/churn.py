"""Churn of a block: which of its addresses are active from day to day, and lasting shifts of its level.

An address is active on a day if it replied positively in one of its rounds. Days are counted from the start of the
survey; a last day that is not whole is left out. A day on which an address was sent nothing says nothing about it.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

DAY_S: Final = 86_400.0
ACTIVE, BORN, RETURNED, LEFT, DIED = range(5)
CHANGES: Final = 5
"""Counts by day. ACTIVE: addresses that replied. BORN: for the first time, after a day without a reply. RETURNED: after
a day without a reply, but not for the first time. LEFT: no more, but again later. DIED: no more, and never again."""
UNKNOWN, INACTIVE, ON = range(3)
"""States of an address on a day."""
SIDE_DAYS: Final = 3
"""Days that a level lasts at least before and after a shift: more than a weekend."""
LEAST_SHIFT: Final = 4.0
"""Least difference of a shift in active addresses."""
LEAST_PART: Final = 0.5
"""Least difference of a shift as a share of the higher level."""


@dataclass(frozen=True, slots=True)
class Shift:
    """A lasting change of the mean number of active addresses: `day` is the first day of the second level."""

    day: int
    before: float
    after: float


def days_of(rounds: int, interval_s: float) -> int:
    """Return the number of whole days of a survey; 0 if a round is longer, which says nothing of single days."""
    if interval_s > DAY_S:
        return 0
    return int(rounds * interval_s / DAY_S + 1e-9)


def first_rounds(days: int, interval_s: float) -> NDArray[np.int64]:
    """Return the first round of each day, and that after the last."""
    firsts: NDArray[np.int64] = np.ceil(np.arange(days + 1) * DAY_S / interval_s - 1e-9).astype(np.int64)
    return firsts


@kernel
def states_of(
    sent: NDArray[np.uint8], positive: NDArray[np.uint8], firsts: NDArray[np.int64], states: NDArray[np.int8]
) -> int:
    """Write the state of an address on each day: UNKNOWN, INACTIVE or ON; return the last day with ON, or -1."""
    last = -1
    for day in range(len(firsts) - 1):
        states[day] = UNKNOWN
        for r in range(firsts[day], firsts[day + 1]):
            if (sent[r >> 3] >> (r & 7)) & 1:
                states[day] = INACTIVE
                if (positive[r >> 3] >> (r & 7)) & 1:
                    states[day], last = ON, day
                    break
    return last


@kernel
def count_changes(
    sent: NDArray[np.uint8], positive: NDArray[np.uint8], firsts: NDArray[np.int64], changes: NDArray[np.int64]
) -> None:
    """Add the changes of the given rows to `changes`, (days, CHANGES); `firsts` are the first rounds of the days."""
    states = np.zeros(len(firsts) - 1, np.int8)
    for row in range(len(sent)):
        last = states_of(sent[row], positive[row], firsts, states)
        ever, before = False, UNKNOWN
        for day in range(len(states)):
            state = int64(states[day])
            if state == ON:
                changes[day, ACTIVE] += 1
                if before == INACTIVE:
                    changes[day, RETURNED if ever else BORN] += 1
                ever = True
            elif state == INACTIVE and before == ON:
                changes[day, LEFT if day < last else DIED] += 1
            if state != UNKNOWN:
                before = state


def shift_of(series: NDArray[np.float64], firsts: NDArray[np.int64]) -> Shift | None:
    """Return the lasting shift of a series (active addresses by round, NaN where nothing was sent), None without one.

    All days before it lie on one side of the middle between both levels, and all days after it on the other.
    """
    levels = np.array(
        [
            np.nan if np.isnan(part).all() else float(np.nanmean(part))
            for part in (series[first:end] for first, end in pairwise(firsts.tolist()))
        ]
    )
    best: Shift | None = None
    for day in range(SIDE_DAYS, len(levels) - SIDE_DAYS + 1):
        left, right = levels[:day], levels[day:]
        left, right = left[~np.isnan(left)], right[~np.isnan(right)]
        if min(len(left), len(right)) < SIDE_DAYS:
            continue
        before, after = float(left.mean()), float(right.mean())
        apart, middle = abs(after - before), (before + after) / 2
        parted = left.max() < middle < right.min() if before < after else right.max() < middle < left.min()
        lasting = parted and apart >= max(LEAST_SHIFT, LEAST_PART * max(before, after))
        if lasting and (best is None or apart > abs(best.after - best.before)):
            best = Shift(day, before, after)
    return best
