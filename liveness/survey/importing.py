"""Import of surveys: files of another tool become a run directory that is analysed like one of ours.

Files are read twice: first for the blocks, the phase of each address and the interval, then for the bits, which are set
in files mapped into memory. So a survey may be far larger than memory.
"""

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UsageError, count_of
from liveness.files.directory import Directory
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.manifest import (
    MAX_END_S,
    MAX_INTERVAL_S,
    MAX_ROUNDS,
    MAX_START_NS,
    Origin,
    ProbeRounds,
    SurveyManifest,
    Times,
    write_manifest,
)
from liveness.planes.matrix import PLANES, Planes, plane_name, row_bytes, write_phases
from liveness.planes.rundir import SurveyRun, new_run
from liveness.survey import placing
from liveness.survey.ant import is_ant, open_plain, read_ant
from liveness.survey.fsdb import is_fsdb, read_fsdb
from liveness.survey.placing import NEVER
from liveness.survey.records import Batches, Notes, Records

PROBE: Final = "icmp"
GAPS: Final = 1 << 20
CELLS_A_RECORD: Final = 4096
SPARE_CELLS: Final = 1 << 20
"""Pairs of address and round that a survey may have for each of its records: far more mean that times are wrong."""
HEAD_BYTES: Final = 64
EXACT_S: Final = 0.01
"""An interval that is this near to a whole second is taken to be one: records have whole seconds."""
BLOCKS_AT_ONCE: Final = 256
_NO_ADDRESS: Final = 0

Reader = Callable[[Path, Notes], Batches]
READERS: Final[dict[str, tuple[Callable[[bytes], bool], Reader]]] = {
    "fsdb": (is_fsdb, read_fsdb),
    "ant": (is_ant, read_ant),
}


@dataclass(frozen=True, slots=True)
class Given:
    """What the user knows better than the files: the interval, and the time of round 0."""

    interval_s: float | None = None
    start_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Timing:
    """When each address was probed: its first record, and what that makes of all."""

    start_s: float
    interval_s: float
    rounds: int
    first_s: NDArray[np.int64]


def import_survey(files: Sequence[Path], path: Path, name: str, given: Given) -> SurveyRun:
    """Make a run directory at `path` from files of one survey, in the order of time; return it.

    UsageError for a file of no known format; LivenessError for a damaged one, by its name and offset, and for a
    directory that is there already.
    """
    formats = [format_of(file) for file in files]
    blocks = _blocks(files, formats)
    notes = Notes()
    timing = _timing(files, formats, blocks, notes, given)
    with new_run(path, blocks):
        tallies, counts = _place(files, formats, blocks, timing, path)
        for reason, number in zip(
            ("second record of a round", "reply of an address that was not probed", "outside of all rounds",
             "other ICMP types"), tallies.tolist(), strict=True,
        ):  # fmt: skip
            notes.skip(reason, number)
        phases = np.where(timing.first_s == NEVER, 0, (timing.first_s - timing.start_s) % timing.interval_s * 1000)
        write_phases(path, phases.astype(np.uint32))
        start = datetime.fromtimestamp(timing.start_s, UTC)
        manifest = SurveyManifest(
            name=name,
            run_id=path.name,
            status="complete",
            interval_s=timing.interval_s,
            survey=Times(start=start.isoformat().replace("+00:00", "Z")),
            start_ns=round(timing.start_s * 1e9),
            rounds=timing.rounds,
            blocks=len(blocks),
            probes={PROBE: counts},
            origin=Origin(
                format="+".join(sorted(set(formats))),
                files=[str(file) for file in files],
                records=notes.records,
                skipped=notes.skipped,
            ),
        )
        write_manifest(manifest, path)
    return SurveyRun.open(path)


def format_of(path: Path) -> str:
    """Return the name of a file's format by its first bytes. UsageError if it is none of ours."""
    try:
        with open_plain(path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError) as problem:
        raise UsageError(f"{path}: cannot read: {getattr(problem, 'strerror', None) or problem}") from problem
    for name, (recognises, _) in READERS.items():
        if recognises(head):
            return name
    raise UsageError(
        f"{path}: neither ANT's binary survey format (version 3) nor its text (#fsdb), nor CSV with a header"
    )


def _all(files: Sequence[Path], formats: Sequence[str], notes: Notes) -> Iterator[Records]:
    for file, name in zip(files, formats, strict=True):
        yield from READERS[name][1](file, notes)


def _blocks(files: Sequence[Path], formats: Sequence[str]) -> Blocks:
    seen = np.zeros(0, np.uint32)
    for records in _all(files, formats, Notes()):
        probes = records["probe"]
        seen = np.union1d(seen, probes[probes != _NO_ADDRESS] >> np.uint32(8))
    if len(seen) == 0:
        raise UsageError(f"{files[0]}: no probe in {count_of(len(files), 'file')}")
    return Blocks.of(seen, "imported")


class _Rows:
    """Maps addresses to rows of the planes."""

    def __init__(self, blocks: Blocks) -> None:
        self._numbers = blocks.numbers

    def of(self, addresses: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the row of each address; NEVER for 0.0.0.0 and what is in no block."""
        numbers = addresses >> np.uint32(8)
        places = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
        known = (self._numbers[places] == numbers) & (addresses != _NO_ADDRESS)
        return np.where(known, places * BLOCK_ADDRESSES + (addresses & np.uint32(255)), NEVER)


def _timing(files: Sequence[Path], formats: Sequence[str], blocks: Blocks, notes: Notes, given: Given) -> _Timing:
    rows = _Rows(blocks)
    size = len(blocks) * BLOCK_ADDRESSES
    check_extent(size, 1, sum(len(records) for records in _all(files, formats, Notes())), files[0])
    first_s, last_s = np.full(size, NEVER, np.int64), np.full(size, NEVER, np.int64)
    gaps, found = np.zeros(GAPS, np.int64), 0
    for records in _all(files, formats, notes):
        times = np.ascontiguousarray(records["time_s"])
        found = placing.note_times(times, rows.of(records["probe"]), first_s, last_s, gaps, found)
    probed = first_s != NEVER
    start_s = float(first_s[probed].min()) if given.start_s is None else given.start_s
    interval_s = given.interval_s or _interval(gaps[:found], files[0])
    check_interval(interval_s, files[0])
    phase = (first_s[probed] - start_s) % interval_s
    rounds = int(np.floor((last_s[probed] - start_s - phase) / interval_s + 0.5).max()) + 1
    if not 1 <= rounds <= MAX_ROUNDS:
        raise UsageError(
            f"{files[0]}: {rounds:,} rounds of {interval_s:g} s from {start_s:.0f} on: give --interval and --start"
        )
    check_extent(size, rounds, notes.records, files[0])
    check_times(start_s, interval_s, rounds, files[0])
    return _Timing(start_s, interval_s, rounds, first_s)


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


def _interval(gaps: NDArray[np.int64], file: Path) -> float:
    """Return the interval of a survey: the mean of the gaps between neighbouring rounds, which the median tells."""
    if len(gaps) == 0:
        raise UsageError(f"{file}: no address was probed twice: give the interval of its rounds by --interval")
    median = float(np.median(gaps))
    exact = float(gaps[np.abs(gaps - median) < median / 2].mean())
    whole = round(exact)
    return float(whole) if abs(exact - whole) < EXACT_S else exact


@contextmanager
def mapped_planes(path: Path, probe: str, addresses: int, rounds: int) -> Iterator[Planes]:
    """Give planes of a new survey to be filled in any order: files mapped into memory, which are there at the end."""
    width = row_bytes(rounds)
    try:
        with Directory.open(path) as directory, ExitStack() as stack:
            files = [stack.enter_context(directory.replaced(plane_name(probe, plane), mapped=True)) for plane in PLANES]
            planes = Planes(rounds, *(_map(file, addresses, width) for file in files))
            yield planes
    except OSError as problem:
        raise LivenessError(f"{path}: cannot write: {problem.strerror}") from problem


def _map(file: BinaryIO, rows: int, width: int) -> NDArray[np.uint8]:
    os.posix_fallocate(file.fileno(), 0, rows * width)  # a full disk is an error now, and no fault of a page later
    mapping = mmap.mmap(file.fileno(), rows * width)  # keeps itself open as long as the array is used
    return np.frombuffer(mapping, np.uint8).reshape(rows, width)


def _place(
    files: Sequence[Path], formats: Sequence[str], blocks: Blocks, timing: _Timing, path: Path
) -> tuple[NDArray[np.int64], ProbeRounds]:
    rows = _Rows(blocks)
    size = len(blocks) * BLOCK_ADDRESSES
    newest = np.full(size, NEVER, np.int64)
    tallies = np.zeros(placing.TALLIES, np.int64)
    with mapped_planes(path, PROBE, size, timing.rounds) as planes:
        for records in _all(files, formats, Notes()):
            probed = rows.of(records["probe"])
            replied = np.where(records["reply"] == _NO_ADDRESS, probed, rows.of(records["reply"]))
            placing.place_records(
                np.ascontiguousarray(records["time_s"]),
                np.ascontiguousarray(records["rtt_us"]),
                np.ascontiguousarray(records["icmp_type"]),
                probed,
                replied,
                timing.first_s,
                newest,
                timing.start_s,
                timing.interval_s,
                timing.rounds,
                planes.sent,
                planes.positive,
                planes.negative,
                planes.late,
                tallies,
            )
        counts = settle(planes)
    return tallies, counts


def settle(planes: Planes) -> ProbeRounds:
    """Leave each pair of address and round its one state, positive before negative before late; return the counts."""
    totals = dict.fromkeys(PLANES, 0)
    addresses = len(planes.sent)
    for first in range(0, addresses, BLOCKS_AT_ONCE * BLOCK_ADDRESSES):
        part = planes.block(first // BLOCK_ADDRESSES, BLOCKS_AT_ONCE)
        part.negative[:] &= ~part.positive
        part.late[:] &= ~(part.positive | part.negative)
        for plane in PLANES:
            totals[plane] += (
                int(np.bitwise_count(getattr(part, plane)).sum())
                if hasattr(np, "bitwise_count")
                else int(np.unpackbits(getattr(part, plane)).sum())
            )
    return ProbeRounds(not_sent=addresses * planes.rounds - totals["sent"], **totals)
