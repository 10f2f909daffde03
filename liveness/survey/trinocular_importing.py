"""Import of Trinocular's raw outage data: verdicts about blocks, and the probes behind them where the files have logs.

A round of a /24 has up to some thirty probes, so most addresses of most rounds count as not sent. The outages of the
imported run are those of the recorded verdicts: its analysis does not replay the algorithm.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError, count_of
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.manifest import Origin, write_manifest
from liveness.planes.matrix import Planes, write_phases
from liveness.planes.rundir import SurveyRun, new_run
from liveness.planes.verdicts import NO_VERDICT
from liveness.survey.import_timing import Given, Seen, Timing, check_extent
from liveness.survey.imported_run import imported_manifest, mapped_planes, mapped_verdicts, settle
from liveness.survey.records import Notes
from liveness.survey.trinocular_raw import Batch, read_trinocular

FORMAT: Final = "trinocular"
PROBE: Final = "icmp"


def import_trinocular(files: Sequence[Path], path: Path, name: str, given: Given) -> SurveyRun:
    """Make a run directory at `path` from files of one site, in the order of time; return it.

    LivenessError names the file and the line of what is damaged; no run directory is left then.
    """
    numbers = np.zeros(0, np.uint32)
    records = 0
    for batch in _all(files, Notes()):
        numbers = np.union1d(numbers, batch.rounds["block"])
        records += len(batch.rounds)
    if len(numbers) == 0:
        raise UsageError(f"{files[0]}: no line below the header of {count_of(len(files), 'file')}")
    blocks = Blocks.of(numbers, "imported")
    size = len(blocks) * BLOCK_ADDRESSES
    check_extent(size, 1, records, files[0])
    notes, seen = Notes(), Seen(len(blocks))
    for batch in _all(files, notes):
        seen.note(np.ascontiguousarray(batch.rounds["time_s"]), _places(batch.rounds["block"], blocks))
    timing = seen.timing(given, size, records, files[0])
    with new_run(path, blocks):
        with (
            mapped_planes(path, PROBE, size, timing.rounds) as planes,
            mapped_verdicts(path, PROBE, len(blocks), timing.rounds) as verdicts,
        ):
            for batch in _all(files, Notes()):
                _put(batch, blocks, timing, planes, verdicts, notes)
            counts = settle(planes)
        write_phases(path, np.repeat(timing.phases_ms, BLOCK_ADDRESSES))
        origin = Origin(
            format=FORMAT, files=[str(file) for file in files], records=notes.records, skipped=notes.skipped
        )
        manifest = imported_manifest(path, name, timing, blocks, {PROBE: counts}, origin, verdicts=[PROBE])
        write_manifest(manifest, path)
    return SurveyRun.open(path)


def _all(files: Sequence[Path], notes: Notes) -> Iterator[Batch]:
    for file in files:
        for batch in read_trinocular(file, notes):
            if len(batch.rounds):
                yield batch


def _places(numbers: NDArray[np.uint32], blocks: Blocks) -> NDArray[np.int64]:
    return np.searchsorted(blocks.numbers, numbers).astype(np.int64)


def _put(
    batch: Batch, blocks: Blocks, timing: Timing, planes: Planes, verdicts: NDArray[np.uint8], notes: Notes
) -> None:
    """Write the verdicts and the probes of lines. Of two lines of one block and round the first is used."""
    at = _places(batch.rounds["block"], blocks)
    phase_s = (timing.first_s[at] - timing.start_s) % timing.interval_s
    number = np.floor((batch.rounds["time_s"] - timing.start_s - phase_s) / timing.interval_s + 0.5).astype(np.int64)
    inside = (number >= 0) & (number < timing.rounds)
    notes.skip("outside of all rounds", int((~inside).sum()))
    _, first = np.unique(np.where(inside, at * timing.rounds + number, -1), return_index=True)
    used = np.zeros(len(at), np.bool_)
    used[first] = True
    used &= inside
    used[used] = verdicts[at[used], number[used]] == NO_VERDICT
    notes.skip("second record of a round", int((inside & ~used).sum()))
    verdicts[at[used], number[used]] = batch.rounds["status"][used]
    probes = batch.probes[used[batch.probes["line"]]]
    rows = at[probes["line"]] * BLOCK_ADDRESSES + probes["octet"]
    planes.put("sent", rows, number[probes["line"]])
    answered = probes["positive"]
    planes.put("positive", rows[answered], number[probes["line"]][answered])
