"""Import of surveys: files of another tool become a run directory that is analysed like one of ours.

Files are read twice: first for the blocks, the phase of each address and the interval, then for the bits, which are set
in files mapped into memory. So a survey may be far larger than memory.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError, count_of
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.delays import DELAY, LARGEST_US
from liveness.planes.manifest import Origin, ProbeRounds, write_manifest
from liveness.planes.matrix import write_phases
from liveness.planes.rundir import SurveyRun, new_run
from liveness.survey import placing
from liveness.survey.ant import is_ant, open_plain, read_ant
from liveness.survey.fsdb import is_fsdb, read_fsdb
from liveness.survey.import_timing import Given, Seen, Timing, check_extent
from liveness.survey.imported_run import imported_manifest, mapped_planes, new_delays, settle
from liveness.survey.placing import NEVER
from liveness.survey.records import Batches, Notes, Records

PROBE: Final = "icmp"
HEAD_BYTES: Final = 64
_NO_ADDRESS: Final = 0

Reader = Callable[[Path, Notes], Batches]
READERS: Final[dict[str, tuple[Callable[[bytes], bool], Reader]]] = {
    "fsdb": (is_fsdb, read_fsdb),
    "ant": (is_ant, read_ant),
}


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
        write_phases(path, timing.phases_ms)
        origin = Origin(
            format="+".join(sorted(set(formats))),
            files=[str(file) for file in files],
            records=notes.records,
            skipped=notes.skipped,
        )
        write_manifest(imported_manifest(path, name, timing, blocks, {PROBE: counts}, origin, delays=[PROBE]), path)
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
        f"{path}: neither ANT's binary survey format (version 3) nor its text (#fsdb), nor Trinocular's raw data,"
        " nor CSV or Parquet with our columns"
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


def _timing(files: Sequence[Path], formats: Sequence[str], blocks: Blocks, notes: Notes, given: Given) -> Timing:
    rows = _Rows(blocks)
    size = len(blocks) * BLOCK_ADDRESSES
    check_extent(size, 1, sum(len(records) for records in _all(files, formats, Notes())), files[0])
    seen = Seen(size)
    for records in _all(files, formats, notes):
        seen.note(np.ascontiguousarray(records["time_s"]), rows.of(records["probe"]))
    return seen.timing(given, size, notes.records, files[0])


def _place(
    files: Sequence[Path], formats: Sequence[str], blocks: Blocks, timing: Timing, path: Path
) -> tuple[NDArray[np.int64], ProbeRounds]:
    rows = _Rows(blocks)
    size = len(blocks) * BLOCK_ADDRESSES
    newest = np.full(size, NEVER, np.int64)
    tallies = np.zeros(placing.TALLIES, np.int64)
    with mapped_planes(path, PROBE, size, timing.rounds) as planes, new_delays(path, PROBE) as file:
        for records in _all(files, formats, Notes()):
            probed = rows.of(records["probe"])
            delay_us = np.full(len(records), NEVER, np.int64)
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
                delay_us,
                tallies,
            )
            known = np.flatnonzero(delay_us != NEVER)
            delays = np.empty(len(known), DELAY)
            delays["row"], delays["rtt_us"] = replied[known], np.minimum(delay_us[known], LARGEST_US)
            file.write(delays.tobytes())
        counts = settle(planes)
    return tallies, counts
