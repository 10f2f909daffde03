"""The analysis of one block: its availability, daily cycle, full outages, and outages by Trinocular."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey import outages as full
from liveness.analysis.survey import trinocular
from liveness.analysis.survey.churn import CHANGES, Shift, count_changes, days_of, first_rounds, shift_of
from liveness.analysis.survey.diurnal import NONE, Diurnal, classify
from liveness.analysis.survey.leases import lease_of
from liveness.analysis.survey.lengths import median_of
from liveness.analysis.survey.occupancy import STABLE_FROM
from liveness.analysis.survey.outages import Outage
from liveness.analysis.survey.sequences import (
    ALL,
    BEGUN_EARLY,
    ENDED,
    PLAIN,
    READINGS,
    REPAIRED,
    AddressFigures,
    availability,
    mean_up,
)
from liveness.kernel import kernel
from liveness.planes.matrix import Planes
from liveness.planes.verdicts import DOWN, NO_VERDICT, UP

HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of rounds: `start_ns` is the time of round 0 since the epoch, `interval_s` the length of a round."""

    start_ns: int
    interval_s: float

    def at_ns(self, round_number: float) -> int:
        """Return the start of a round, ns since the epoch; a fraction is a part of a round."""
        return self.start_ns + round(round_number * self.interval_s * 1e9)


@dataclass(frozen=True, slots=True)
class Reading:
    """Sums over the ever-responsive addresses of a block, in one of the two readings."""

    ever: int
    a_sum: float
    u_sum: float
    periods: int
    median_rounds: float | None
    median_censored_rounds: float | None

    def mean(self, total: float) -> float | None:
        """Return a sum as the mean over ever-responsive addresses, None without any."""
        return total / self.ever if self.ever else None


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The results of one block for one probe."""

    block: int
    readings: tuple[Reading, ...]
    diurnal: Diurnal
    outages: list[Outage]
    trinocular: list[Outage] | None
    """None for a block that Trinocular does not judge."""
    stable: int = 0
    """Ever-responsive addresses with a U of STABLE_FROM or more after repair."""
    changes: NDArray[np.int64] | None = None
    """Churn by day, (days, CHANGES); None for a block without a positive reply."""
    shift: Shift | None = None
    lease_s: float | None = None


@kernel
def hours_of_rounds(phases_ms: NDArray[np.uint32], start_ms: int, interval_ms: float, hours: NDArray[np.int64]) -> None:
    """Write the UTC hour of the day in which each row is probed in each round: `hours` is (rows, rounds)."""
    for row in range(hours.shape[0]):
        for r in range(hours.shape[1]):
            at_ms = start_ms + int(r * interval_ms) + phases_ms[row]
            hours[row, r] = at_ms // HOUR_MS % full.HOURS


def readings_of(figures: AddressFigures, histograms: NDArray[np.int64]) -> tuple[Reading, ...]:
    """Return the sums of one block, from its addresses' figures and its histograms (2, 4, rounds + 1)."""
    ever = int((figures.ones[:, PLAIN] > 0).sum())
    return tuple(
        Reading(
            ever,
            float(availability(figures, reading).sum()),
            float(mean_up(figures, reading).sum()),
            int(figures.periods[:, reading].sum()),
            median_of(histograms[reading, ALL]),
            median_of(histograms[reading, BEGUN_EARLY]),
        )
        for reading in range(READINGS)
    )


def analyze_block(
    block: int,
    planes: Planes,
    figures: AddressFigures,
    histograms: NDArray[np.int64],
    phases_ms: NDArray[np.uint32],
    timing: Timing,
    verdicts: NDArray[np.uint8] | None = None,
    activity: NDArray[np.int32] | None = None,
) -> BlockResult:
    """Return the results of one block from its planes (256 rows) and the figures of its addresses.

    `verdicts` are those that Trinocular recorded, by round; without them the algorithm is replayed. `activity`
    (2, rounds), all zero, receives the ever-responsive addresses that answered and those probed, by round.
    """
    readings = readings_of(figures, histograms)
    recorded = None if verdicts is None else downs_of(block, verdicts, (verdicts != NO_VERDICT).astype(np.uint8))
    ever = np.flatnonzero(figures.ones[:, PLAIN] > 0)
    if len(ever) == 0:
        return BlockResult(block, readings, NONE, [], recorded)
    rounds = planes.rounds
    sent, positive = planes.sent[ever], planes.positive[ever]
    active, probed = np.zeros((2, rounds), np.int32) if activity is None else activity
    full.count_active(sent, positive, rounds, active, probed)
    series = np.where(probed > 0, active.astype(np.float64), np.nan)
    diurnal = classify(series, timing.interval_s, timing.start_ns / 1e9)
    overall = availability(figures, PLAIN)[ever]
    silent = (probed > 0) & (active == 0)
    firsts = first_rounds(days_of(rounds, timing.interval_s), timing.interval_s)
    changes = np.zeros((len(firsts) - 1, CHANGES), np.int64)
    count_changes(sent, positive, firsts, changes)
    outages: list[Outage] = []
    if silent.any():
        logs = _logs_of_silence(sent, positive, silent, overall, phases_ms[ever], timing, diurnal)
        outages = full.find_outages(block, active, probed, logs)
    if recorded is None:
        recorded = _trinocular(block, sent, positive, rounds, overall)
    return BlockResult(
        block,
        readings,
        diurnal,
        _marked(outages, silent, probed, timing),
        None if recorded is None else _marked(recorded, silent, probed, timing),
        stable=int((mean_up(figures, REPAIRED) >= STABLE_FROM).sum()),
        changes=changes,
        shift=shift_of(series, firsts),
        lease_s=lease_of(histograms[REPAIRED, ENDED], timing.interval_s, len(ever), daily=diurnal.kind != NONE.kind),
    )


def _marked(
    outages: list[Outage], silent: NDArray[np.bool_], probed: NDArray[np.int32], timing: Timing
) -> list[Outage]:
    """Return outages with the mark of those that recur every week."""
    return [replace(one, weekly=full.is_weekly(one, silent, probed, timing.interval_s)) for one in outages]


def _logs_of_silence(
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    silent: NDArray[np.bool_],
    overall: NDArray[np.float64],
    phases_ms: NDArray[np.uint32],
    timing: Timing,
    diurnal: Diurnal,
) -> NDArray[np.float64]:
    """Return, for each silent round, the logarithm of the probability of silence while the block is up."""
    rounds = len(silent)
    found = np.zeros(rounds)
    if diurnal is NONE or diurnal.kind == "none":
        hours = np.zeros((1, 1), np.int64)
        logs = full.log_of_silence(overall)[:, None]
    else:
        hours = np.zeros((len(sent), rounds), np.int64)
        hours_of_rounds(phases_ms, timing.start_ns // 1_000_000, timing.interval_s * 1000, hours)
        counts = np.zeros((len(sent), full.HOURS), np.int64)
        ones = np.zeros_like(counts)
        full.hourly_availability(sent, positive, hours, counts, ones)
        logs = full.log_of_silence(full.cautious(counts, ones, overall))
    full.silence_logs(sent, rounds, logs, hours, silent, found)
    return found


def _trinocular(
    block: int, sent: NDArray[np.uint8], positive: NDArray[np.uint8], rounds: int, overall: NDArray[np.float64]
) -> list[Outage] | None:
    """Return the outages that Trinocular finds, from the first round of a verdict *down* to the one before *up*."""
    if not trinocular.is_judged(overall):
        return None
    found = trinocular.replayed(block, sent, positive, rounds, overall)
    return downs_of(block, found.states, found.probes)


def downs_of(block: int, states: NDArray[np.uint8], probes: NDArray[np.uint8]) -> list[Outage]:
    """Return the outages of a replay: each begins with a verdict *down* and ends with the next *up*.

    An uncertain round neither begins nor ends an outage. Rounds without a probe are skipped.
    """
    outages = []
    first: int | None = None
    last = sent = 0
    for r in np.flatnonzero(probes > 0).tolist():
        if states[r] == DOWN:
            if first is None:
                first, sent = r, 0
            last = r
        elif states[r] == UP and first is not None:
            outages.append(Outage(block, first, last, sent, r))
            first = None
        sent += 1
    if first is not None:
        outages.append(Outage(block, first, last, sent, None))
    return outages


def chance_of(logarithm: float) -> float:
    """Return a probability from its logarithm, 0 if it is too small for a float."""
    return math.exp(max(logarithm, -745.0))
