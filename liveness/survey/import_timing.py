"""The times of an imported survey: its interval, start and rounds, from when each address or block was probed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError, count_of
from liveness.planes.manifest import MAX_END_S, MAX_INTERVAL_S, MAX_ROUNDS, MAX_START_NS
from liveness.survey import placing
from liveness.survey.placing import NEVER

GAPS: Final = 1 << 20
CELLS_A_RECORD: Final = 4096
SPARE_CELLS: Final = 1 << 20
"""Pairs of address and round that a survey may have for each of its records: far more mean that times are wrong."""
EXACT_S: Final = 0.01
"""An interval that is this near to a whole second is taken to be one: records have whole seconds."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the user knows better than the files: the interval, and the time of round 0."""

    interval_s: float | None = None
    start_s: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """When each row (an address, or a block) was probed: its first record, and what that makes of all."""

    start_s: float
    interval_s: float
    rounds: int
    first_s: NDArray[np.int64]

    @property
    def phases_ms(self) -> NDArray[np.uint32]:
        """When in a round each row is probed, ms after its start; 0 for a row that was never probed."""
        phases = np.where(self.first_s == NEVER, 0, (self.first_s - self.start_s) % self.interval_s * 1000)
        return phases.astype(np.uint32)


class Seen:
    """The first and last probe of each row, and the times between two, from all records of a survey."""

    def __init__(self, rows: int) -> None:
        self._first_s, self._last_s = np.full(rows, NEVER, np.int64), np.full(rows, NEVER, np.int64)
        self._gaps, self._found = np.zeros(GAPS, np.int64), 0

    def note(self, times_s: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Note probes in the order of time; `rows` is negative for records without a probe."""
        self._found = placing.note_times(times_s, rows, self._first_s, self._last_s, self._gaps, self._found)

    def timing(self, given: Given, addresses: int, records: int, file: Path) -> Timing:
        """Return the timing of the survey. UsageError if it is one that no survey has."""
        probed = self._first_s != NEVER
        start_s = float(self._first_s[probed].min()) if given.start_s is None else given.start_s
        interval_s = given.interval_s or interval_of(self._gaps[: self._found], file)
        check_interval(interval_s, file)
        phase = (self._first_s[probed] - start_s) % interval_s
        rounds = int(np.floor((self._last_s[probed] - start_s - phase) / interval_s + 0.5).max()) + 1
        if not 1 <= rounds <= MAX_ROUNDS:
            raise UsageError(
                f"{file}: {rounds:,} rounds of {interval_s:g} s from {start_s:.0f} on: give --interval and --start"
            )
        check_extent(addresses, rounds, records, file)
        check_times(start_s, interval_s, rounds, file)
        return Timing(start_s, interval_s, rounds, self._first_s)


def check_interval(interval_s: float, file: Path) -> None:
    """Refuse an interval that no survey has. UsageError."""
    if not 0 < interval_s <= MAX_INTERVAL_S:
        raise UsageError(f"{file}: an interval of {interval_s:g} s comes from its times: give it by --interval")


def check_times(start_s: float, interval_s: float, rounds: int, file: Path) -> None:
    """Refuse a start or an end that the manifest of no survey may have. UsageError."""
    if not 0 <= start_s <= MAX_START_NS / 1e9:
        raise UsageError(f"{file}: round 0 would have been before 1970 or after 2200: give --interval and --start")
    if start_s + rounds * interval_s > MAX_END_S:
        raise UsageError(
            f"{file}: {count_of(rounds, 'round')} of {interval_s:g} s would end after the year 2400:"
            " give --interval and --start"
        )


def check_extent(addresses: int, rounds: int, records: int, file: Path) -> None:
    """Refuse a survey that would be all but empty: a wrong time in a file would fill the disk. UsageError."""
    if addresses * rounds > SPARE_CELLS + CELLS_A_RECORD * records:
        much = f"{count_of(addresses, 'address')} in {count_of(rounds, 'round')}"
        raise UsageError(
            f"{file}: {count_of(records, 'record')} for {much}: a time in it is wrong, or the interval:"
            " give --interval and --start"
        )


def interval_of(gaps: NDArray[np.int64], file: Path) -> float:
    """Return the interval of a survey: the mean of the gaps near their median, those between neighbouring rounds."""
    if len(gaps) == 0:
        raise UsageError(f"{file}: no address was probed twice: give the interval of its rounds by --interval")
    median = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # one of them, so that some are near it
    exact = float(gaps[np.abs(gaps - median) < median / 2].mean())
    whole = round(exact)
    return float(whole) if abs(exact - whole) < EXACT_S else exact
