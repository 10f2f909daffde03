"""What a selection draws from: positive addresses of censuses, and the availability of blocks in earlier surveys."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.analysis.survey.results import analyze_survey
from liveness.analysis.survey.sequences import PLAIN
from liveness.errors import UsageError
from liveness.ipsets.roaring import mask24, to_numpy
from liveness.planes.manifest import NAME
from liveness.planes.rundir import SurveyRun
from liveness.replies import CONTROL, POSITIVE, Role
from liveness.runs.rundir import RunDirectory
from liveness.survey.availability import BlockAvailability, from_censuses


@dataclass(frozen=True, slots=True)
class Sources:
    """Numbers (address >> 8) of /24s with a positive reply, ever and in the last census; and what A and U they have."""

    ever: NDArray[np.uint32]
    last: NDArray[np.uint32]
    availability: BlockAvailability


def read_sources(paths: Sequence[Path]) -> Sources:
    """Read the runs of a selection: censuses, of which there is one at least, and surveys.

    Where there are surveys, blocks they probed have their A and U from the newest of them. UsageError without a census.
    """
    surveys = [SurveyRun.open(path) for path in paths if _is_survey(path)]
    runs = sorted(
        (RunDirectory.open(path) for path in paths if not _is_survey(path)), key=lambda run: run.read_manifest().started
    )
    if not runs:
        raise UsageError("select: no census among the runs: blocks are drawn from those that answered in one")
    censuses = [positive_addresses(run) for run in runs]
    availability = from_censuses(censuses)
    for survey in sorted(surveys, key=lambda run: run.manifest.start_ns):
        availability = _surveyed(availability, survey)
    last = to_numpy(mask24(censuses[-1]))
    return Sources(from_censuses_ever(censuses), last, availability)


def from_censuses_ever(censuses: Sequence[BitMap]) -> NDArray[np.uint32]:
    """Return the numbers of /24s with a positive address in any census."""
    masks = [mask24(census) for census in censuses]
    return to_numpy(BitMap.union(*masks))


def positive_addresses(run: RunDirectory) -> BitMap:
    """Return the addresses that sent a positive reply to a probe of a census, the control left out."""
    sets = [
        run.read_set(entry)
        for entry in run.read_manifest().sets
        if entry.key.role is Role.SOURCE and entry.key.reply.kind in POSITIVE and entry.probe != CONTROL
    ]
    return BitMap.union(*sets) if sets else BitMap()


def _surveyed(before: BlockAvailability, survey: SurveyRun) -> BlockAvailability:
    """Return availability with the blocks of a survey by its first probe in place of what censuses say."""
    probe = analyze_survey(survey, delays=False).probes[0]
    plain = [result.readings[PLAIN] for result in probe.blocks]
    ever = np.array([reading.ever for reading in plain])
    known = ever > 0
    numbers = survey.blocks.numbers[known]
    a = np.array([reading.a_sum for reading in plain])[known] / ever[known]
    u = np.array([reading.u_sum for reading in plain])[known] / ever[known]
    rest = np.isin(before.numbers, survey.blocks.numbers, invert=True)
    all_numbers = np.concatenate((before.numbers[rest], numbers))
    order = np.argsort(all_numbers)
    return BlockAvailability(
        all_numbers[order],
        np.concatenate((before.a[rest], a))[order],
        np.concatenate((before.u[rest], u))[order],
    )


def _is_survey(path: Path) -> bool:
    """Return whether a run directory is a survey's: it has a list of blocks, which no census has."""
    return (path / NAME).is_file() and (path / "blocks.csv").is_file()
