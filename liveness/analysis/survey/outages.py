"""Full outages: series of rounds in which no ever-responsive address of a block answered, too long for chance."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel

CHANCE_BELOW: Final = 1e-9
HOURS: Final = 24
WEEK_S: Final = 7 * 86_400.0
LEAST_OVERLAP: Final = 0.5
"""Part of an outage that the survey must have seen in another week."""
SAME_SILENCE: Final = 0.9
"""Share of the rounds of another week that were silent too."""
CERTAIN: Final = -1e18
"""Used for the logarithm of 0: an address that has answered every probe did not answer."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Rounds `first` to `last` (inclusive) of a block; `sent` of them were sent; `end` is the first positive round."""

    block: int
    first: int
    last: int
    sent: int
    end: int | None
    weekly: bool = False
    """Whether the block was silent at the same time of all other weeks too, like offices at weekends."""


@kernel
def count_active(
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    rounds: int,
    active: NDArray[np.int32],
    probed: NDArray[np.int32],
) -> None:
    """Count, by round, how many of the given rows were sent a probe, and how many of these answered."""
    for row in range(len(sent)):
        for r in range(rounds):
            byte, bit = r >> 3, r & 7
            if (sent[row, byte] >> bit) & 1:
                probed[r] += 1
                active[r] += (positive[row, byte] >> bit) & 1


@kernel
def hourly_availability(
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    hours: NDArray[np.int64],
    counts: NDArray[np.int64],
    ones: NDArray[np.int64],
) -> None:
    """Count, for each row and UTC hour of the day, rounds sent and answered. `hours` is (rows, rounds)."""
    for row in range(len(sent)):
        for r in range(hours.shape[1]):
            byte, bit = r >> 3, r & 7
            if (sent[row, byte] >> bit) & 1:
                counts[row, hours[row, r]] += 1
                ones[row, hours[row, r]] += (positive[row, byte] >> bit) & 1


@kernel
def silence_logs(
    sent: NDArray[np.uint8],
    rounds: int,
    logs: NDArray[np.float64],
    hours: NDArray[np.int64],
    silent: NDArray[np.bool_],
    found: NDArray[np.float64],
) -> None:
    """Sum, for each silent round, the logarithms of 1 - A of the rows that were sent a probe in it.

    `logs` is (rows, 24) for blocks whose availability depends on the hour, otherwise (rows, 1).
    """
    for row in range(len(sent)):
        for r in range(rounds):
            if silent[r] and (sent[row, r >> 3] >> (r & 7)) & 1:
                hour = hours[row, r] if logs.shape[1] > 1 else 0
                found[r] = max(CERTAIN, found[r] + logs[row, hour])


def log_of_silence(availability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(1 - A), CERTAIN if A is 1."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log1p(-np.minimum(availability, 1.0)), CERTAIN)


def cautious(counts: NDArray[np.int64], ones: NDArray[np.int64], overall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (rows, 24) of availability by hour: the smallest of that hour, the one before and the one after it.

    Thus nights of a block with a daily cycle are no outages. Hours without a probe are skipped; if all three have none,
    the value is the overall availability.
    """
    with np.errstate(invalid="ignore"):
        by_hour = np.where(counts > 0, ones / np.maximum(counts, 1), np.inf)
    smallest = np.minimum(np.minimum(by_hour, np.roll(by_hour, 1, axis=1)), np.roll(by_hour, -1, axis=1))
    return np.where(np.isinf(smallest), overall[:, None], smallest)


def find_outages(
    block: int, active: NDArray[np.int32], probed: NDArray[np.int32], logs: NDArray[np.float64]
) -> list[Outage]:
    """Return the full outages of a block from its rounds: addresses probed, addresses active, logarithms of silence.

    Rounds in which no address was probed neither begin nor lengthen an outage, and only a positive reply ends one.
    """
    limit = math.log(CHANCE_BELOW)
    seen = np.flatnonzero(probed > 0)
    silent = active[seen] == 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], silent, [False])).astype(np.int8)))
    outages = []
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        rounds = seen[begin:end]
        if logs[rounds].sum() < limit:
            after = int(seen[end]) if end < len(seen) else None
            outages.append(Outage(block, int(rounds[0]), int(rounds[-1]), len(rounds), after))
    return outages


def is_weekly(outage: Outage, silent: NDArray[np.bool_], probed: NDArray[np.int32], interval_s: float) -> bool:
    """Return whether a block is silent at the time of an outage in every other week that the survey saw most of.

    `silent` are the rounds in which no address answered. A survey of a week or less says nothing about that. Nor do
    rounds of the outage itself: one longer than a week would be compared with itself.
    """
    rounds, week = len(silent), WEEK_S / interval_s
    length = outage.last - outage.first + 1
    seen = 0
    for weeks in range(-int(rounds / week) - 1, int(rounds / week) + 2):
        shift = round(weeks * week)
        first, end = max(0, outage.first + shift), min(rounds, outage.last + 1 + shift)
        same = np.arange(first, end)
        same = same[(same < outage.first) | (same > outage.last)]
        if weeks == 0 or len(same) < LEAST_OVERLAP * length:
            continue
        sent = int((probed[same] > 0).sum())
        if sent == 0:
            continue
        if int(silent[same].sum()) < SAME_SILENCE * sent:
            return False
        seen += 1
    return seen > 0
