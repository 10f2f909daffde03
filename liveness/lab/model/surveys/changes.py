"""Churn, lasting shifts and leases of a block by the truth: what a survey must find, and where either is right."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.change.layout import DAY_NS
from liveness.lab.model.surveys.truth import BlockTruth, Habit

CHANGES: Final = ("active", "born", "returned", "left", "died")
SIDE_DAYS: Final = 3
CLEAR_LEVEL: Final = 8.0
"""Mean number of active addresses from which the birth or the death of a block must be found."""
CLEAR_PERIODS: Final = 40
"""Up periods with both ends from which a lease must be found."""
LEAST_ROUNDS: Final = 8
"""Rounds of a lease from which it must be found."""
FEWEST_LEASES: Final = 4
NO_LEASE: Final = 0.0
EVERY_DAY: Final = 0x7F


def changes_of(up: NDArray[np.bool_], sent: NDArray[np.bool_], interval_model_ns: int) -> NDArray[np.int64]:
    """Return the changes of a block from day to day, (days, CHANGES), counted one address after the other."""
    rounds = up.shape[1]
    days = rounds * interval_model_ns // DAY_NS
    day_of = np.arange(rounds) * interval_model_ns // DAY_NS
    counts = np.zeros((days, len(CHANGES)), np.int64)
    if days == 0:
        return counts
    place = {name: number for number, name in enumerate(CHANGES)}
    known, active = np.zeros((2, len(sent), days), np.bool_)
    for day in range(days):
        known[:, day] = sent[:, day_of == day].any(axis=1)
        active[:, day] = (up & sent)[:, day_of == day].any(axis=1)
    for address in np.flatnonzero((up & sent).any(axis=1)).tolist():
        seen = [(day, bool(active[address, day])) for day in range(days) if known[address, day]]
        counts[[day for day, on in seen if on], place["active"]] += 1
        for before, (day, on) in enumerate(seen[1:]):
            if on == seen[before][1]:
                continue
            earlier = any(state for _, state in seen[: before + 1])
            later = any(state for _, state in seen[before + 1 :])
            name = ("returned" if earlier else "born") if on else ("left" if later else "died")
            counts[day, place[name]] += 1
    return counts


def shift_day(habit: Habit, truth: BlockTruth, sent: NDArray[np.bool_], interval_model_ns: int) -> int | None:
    """Return the day of the birth or the death of a block, -1 if it has no event; None where either is right.

    A block with days off is not on one level before its death or after its birth.
    """
    event = truth.event & sent
    if not event.any():
        return -1
    if habit.diurnal and habit.day_bits != EVERY_DAY:
        return None
    rounds = event.shape[1]
    days = rounds * interval_model_ns // DAY_NS
    by_round = np.asarray(event.any(axis=0))
    edges = np.flatnonzero(by_round[1:] != by_round[:-1]) + 1
    if len(edges) != 1 or not (event.all(axis=0) | ~by_round)[sent.all(axis=0)].all():
        return None
    day = int(edges[0]) * interval_model_ns // DAY_NS
    level = (truth.positive & sent).sum(axis=0)[~by_round].mean()
    if level < CLEAR_LEVEL or not SIDE_DAYS < day < days - SIDE_DAYS:
        return None
    return day


def lease_s_of(habit: Habit, truth: BlockTruth, sent: NDArray[np.bool_], interval_model_ns: int) -> float | None:
    """Return the lease that a survey must find in a block, NO_LEASE for none, None where either is right.

    Pools and sessions have one: their hosts change at multiples of one time.
    """
    if (truth.event & sent).any():
        return None
    if habit.renews_ns == 0:
        return NO_LEASE
    rounds = sent.shape[1]
    if (
        habit.renews_ns < LEAST_ROUNDS * interval_model_ns
        or FEWEST_LEASES * habit.renews_ns > rounds * interval_model_ns
    ):
        return None
    up = (truth.positive & sent).astype(np.int8)
    edges = np.diff(up, axis=1)
    complete = int(np.minimum((edges > 0).sum(axis=1), (edges < 0).sum(axis=1)).sum())
    return habit.renews_ns / 1e9 if complete >= CLEAR_PERIODS else None
