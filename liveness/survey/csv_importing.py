"""Import of surveys from CSV or Parquet, whose rows name their rounds: nothing has to be inferred but the times."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError, count_of
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.manifest import Origin, write_manifest
from liveness.planes.matrix import Planes, write_phases
from liveness.planes.rundir import SurveyRun, new_run
from liveness.survey.csv_records import LATE, NEGATIVE, POSITIVE, Rows, read_rows
from liveness.survey.import_timing import Given, check_extent, check_interval, check_times
from liveness.survey.imported_run import imported_manifest, mapped_planes, settle
from liveness.survey.parquet_records import read_parquet_rows

NEVER: Final = -1.0
_PLANE_OF: Final = {POSITIVE: "positive", NEGATIVE: "negative", LATE: "late"}

_Reader = Callable[[Path, list[str]], Iterator[Rows]]


@dataclass(slots=True)
class _Seen:
    """What the first reading of the files finds."""

    probes: list[str]
    blocks: NDArray[np.uint32]
    rounds: int = 0
    records: int = 0
    earliest: tuple[int, float] | None = None
    latest: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True)
class _Times:
    """The times of the survey: its start, interval and rounds."""

    start_s: float
    interval_s: float
    rounds: int


def import_csv(files: Sequence[Path], path: Path, name: str, given: Given) -> SurveyRun:
    """Make a run directory at `path` from CSV files of one survey, in any order; return it. Raises as reading does."""
    return _import_rows(files, path, name, given, "csv", read_rows)


def import_parquet(files: Sequence[Path], path: Path, name: str, given: Given) -> SurveyRun:
    """Make a run directory at `path` from Parquet files of one survey, as `import_csv` does."""
    return _import_rows(files, path, name, given, "parquet", read_parquet_rows)


def _import_rows(files: Sequence[Path], path: Path, name: str, given: Given, form: str, read: _Reader) -> SurveyRun:
    seen = _look(files, read)
    if seen.earliest is None or seen.latest is None:
        raise UsageError(f"{files[0]}: no record in {count_of(len(files), 'file')}")
    blocks = Blocks.of(seen.blocks, "imported")
    size = len(blocks) * BLOCK_ADDRESSES
    check_extent(size, seen.rounds, seen.records, files[0])
    first_round, first_s = np.full(size, NEVER), np.full(size, NEVER)
    span = np.zeros(2)
    for file in files:
        for rows in read(file, list(seen.probes)):
            _note_phases(rows, _places(rows, blocks), first_round, first_s, span)
    interval_s = given.interval_s or _interval(span, files[0])
    check_interval(interval_s, files[0])
    probed = first_round != NEVER
    begins = first_s - first_round * interval_s
    start_s = float(begins[probed].min()) if given.start_s is None else given.start_s
    times = _Times(start_s, interval_s, seen.rounds)
    check_times(start_s, interval_s, seen.rounds, files[0])
    with new_run(path, blocks):
        with ExitStack() as stack:
            planes = [stack.enter_context(mapped_planes(path, probe, size, seen.rounds)) for probe in seen.probes]
            for file in files:
                for rows in read(file, list(seen.probes)):
                    _put(planes, rows, _places(rows, blocks))
            counts = {probe: settle(part) for probe, part in zip(seen.probes, planes, strict=True)}
        phases_ms = np.where(probed, np.round((begins - start_s) * 1000) % (interval_s * 1000), 0)
        write_phases(path, phases_ms.astype(np.int64).astype(np.uint32))
        origin = Origin(format=form, files=[str(file) for file in files], records=seen.records)
        write_manifest(imported_manifest(path, name, times, blocks, counts, origin), path)
    return SurveyRun.open(path)


def _look(files: Sequence[Path], read: _Reader) -> _Seen:
    seen = _Seen([], np.zeros(0, np.uint32))
    for file in files:
        for rows in read(file, seen.probes):
            seen.blocks = np.union1d(seen.blocks, rows["address"] >> np.uint32(8))
            seen.rounds = max(seen.rounds, int(rows["round"].max()) + 1)
            seen.records += len(rows)
            low, high = rows[np.argmin(rows["time_s"])], rows[np.argmax(rows["time_s"])]
            if seen.earliest is None or low["time_s"] < seen.earliest[1]:
                seen.earliest = int(low["round"]), float(low["time_s"])
            if seen.latest is None or high["time_s"] > seen.latest[1]:
                seen.latest = int(high["round"]), float(high["time_s"])
    return seen


def _places(rows: Rows, blocks: Blocks) -> NDArray[np.int64]:
    """Return the row of the planes of each address."""
    found = np.searchsorted(blocks.numbers, rows["address"] >> np.uint32(8)) * BLOCK_ADDRESSES
    places: NDArray[np.int64] = found + (rows["address"] & np.uint32(255))
    return places


def _put(planes: Sequence[Planes], rows: Rows, at: NDArray[np.int64]) -> None:
    for index, part in enumerate(planes):
        mine = rows["probe"] == index
        part.put("sent", at[mine], rows["round"][mine])
        for state, plane in _PLANE_OF.items():
            chosen = mine & (rows["state"] == state)
            part.put(plane, at[chosen], rows["round"][chosen])


def _note_phases(
    rows: Rows,
    at: NDArray[np.int64],
    first_round: NDArray[np.float64],
    first_s: NDArray[np.float64],
    span: NDArray[np.float64],
) -> None:
    """Note the first round and time of each address; add to `span` the seconds and the rounds since then."""
    new, where = np.unique(at, return_index=True)
    unknown = first_round[new] == NEVER
    first_round[new[unknown]] = rows["round"][where[unknown]]
    first_s[new[unknown]] = rows["time_s"][where[unknown]]
    elapsed, passed = rows["time_s"] - first_s[at], rows["round"] - first_round[at]
    span += np.abs(elapsed).sum(), np.abs(passed).sum()


def _interval(span: NDArray[np.float64], file: Path) -> float:
    if span[1] == 0:
        raise UsageError(f"{file}: no address was probed in two rounds: give the interval by --interval")
    return round(float(span[0] / span[1]), 3)
