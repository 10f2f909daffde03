"""Silences of a block and its daily cycle, by the truth: which outages a survey must find, and which it may."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.change.layout import DAY_NS, HOUR_NS
from liveness.lab.model.surveys.truth import BlockTruth, Habit

HOURS: Final = 24
SURE: Final = 2 * math.log(1e-9)
"""A silence of at most half of the survey's threshold, as a logarithm, is an outage whatever was lost."""
CERTAIN: Final = -1e18
FEWEST_DAYS: Final = 3
CLEAR_AMPLITUDE: Final = 4.0
"""Amplitude in addresses, twice the survey's floor, from which a daily cycle must be found."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Rounds `first` to `last` in which no host of a block replied."""

    block: int
    first: int
    last: int
    possible: bool
    """Whether a survey may call it an outage: an event; a day off, since a survey expects the hours of a day on every
    day; a night, if the daily cycle need not be found.
    """
    sure: bool
    """Whether it must: an event, and a silence that is no chance."""


def silences_of(
    block: int, truth: BlockTruth, sent: NDArray[np.bool_], habit: Habit, *, cycle: bool | None
) -> list[Silence]:
    """Return every series of silent rounds of a block; `cycle` is whether its daily cycle must be found."""
    ever = np.flatnonzero((truth.positive & sent).any(axis=1))
    if len(ever) == 0:
        return []
    up, probed, event = truth.positive[ever], sent[ever], truth.event[ever]
    seen = np.flatnonzero(probed.any(axis=0))
    silent = np.logical_not((up & probed)[:, seen].any(axis=0))
    logs = _logs(up, probed, truth.model_ns[ever], diurnal=habit.diurnal)
    by_round = np.where(probed, logs, 0.0).sum(axis=0)
    off = habit.is_off(truth.model_ns[ever]) & probed
    edges = np.flatnonzero(np.diff(np.concatenate(([False], silent, [False])).astype(np.int8)))
    found = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        rounds = seen[begin:end]
        by_event = bool((event & probed)[:, rounds].any())
        sure = by_event and bool(by_round[rounds].sum() < SURE)
        possible = by_event or bool(off[:, rounds].any()) or (habit.diurnal and cycle is not True)
        found.append(Silence(block, int(rounds[0]), int(rounds[-1]), possible, sure))
    return found


def _logs(
    up: NDArray[np.bool_], probed: NDArray[np.bool_], model_ns: NDArray[np.int64], *, diurnal: bool
) -> NDArray[np.float64]:
    """Return the logarithm of 1 - A of each address and round; with a daily cycle A is the least of three hours."""
    with np.errstate(divide="ignore", invalid="ignore"):
        overall = (up & probed).sum(axis=1) / probed.sum(axis=1)
        if not diurnal:
            return np.broadcast_to(np.maximum(np.log1p(-overall), CERTAIN)[:, None], up.shape)
        hour = model_ns // HOUR_NS % HOURS
        by_hour = np.stack([_share(up, probed & (hour == one)) for one in range(HOURS)], axis=1)
        by_hour = np.fmin(np.fmin(by_hour, np.roll(by_hour, 1, axis=1)), np.roll(by_hour, -1, axis=1))
        chosen = np.take_along_axis(by_hour, hour, axis=1)
        return np.maximum(np.log1p(-np.where(np.isnan(chosen), overall[:, None], chosen)), CERTAIN)


def _share(up: NDArray[np.bool_], probed: NDArray[np.bool_]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = (up & probed).sum(axis=1) / probed.sum(axis=1)
    return shares


def is_diurnal(habit: Habit, truth: BlockTruth, sent: NDArray[np.bool_], interval_model_ns: int) -> bool | None:
    """Return whether a survey must find a daily cycle in a block, and None where either is right.

    A block whose hosts keep hours has one if the daily wave of its active hosts is high enough. Any other block has
    none, unless events changed it so much that chance decides.
    """
    days = truth.positive.shape[1] * interval_model_ns // DAY_NS
    if days < FEWEST_DAYS:
        return False
    if float((truth.event & sent).mean()) > 1 / 100:
        return None
    if not habit.diurnal:
        return False
    rounds = round(days * DAY_NS / interval_model_ns)
    active = (truth.positive & sent).sum(axis=0)[:rounds]
    turns = np.exp(-2j * np.pi * np.arange(rounds) * days / rounds)
    amplitude = 2 * abs((active * turns).sum()) / rounds
    return True if amplitude >= CLEAR_AMPLITUDE else None
