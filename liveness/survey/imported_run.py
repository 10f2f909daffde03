"""The run directory of an imported survey: its planes while they are filled, round-trip times, verdicts, manifest."""

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc_brief
from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.delays import delays_name
from liveness.planes.manifest import Origin, ProbeRounds, SurveyManifest, Times
from liveness.planes.matrix import PLANES, Planes, plane_name, row_bytes
from liveness.planes.verdicts import NO_VERDICT, verdicts_name

BLOCKS_AT_ONCE: Final = 256


class Timed(Protocol):
    """The times of an imported survey."""

    @property
    def start_s(self) -> float:
        """When round 0 began, in seconds since 1970."""

    @property
    def interval_s(self) -> float:
        """Seconds from round to round."""

    @property
    def rounds(self) -> int:
        """Number of rounds."""


def imported_manifest(
    path: Path,
    name: str,
    timing: Timed,
    blocks: Blocks,
    probes: dict[str, ProbeRounds],
    origin: Origin,
    *,
    delays: Sequence[str] = (),
    verdicts: Sequence[str] = (),
) -> SurveyManifest:
    """Return the manifest of an imported survey, which is complete."""
    return SurveyManifest(
        name=name,
        run_id=path.name,
        status="complete",
        interval_s=timing.interval_s,
        survey=Times(start=utc_brief(round(timing.start_s * 1e6) * 1_000, 6)),
        start_ns=round(timing.start_s * 1e9),
        rounds=timing.rounds,
        blocks=len(blocks),
        probes=probes,
        origin=origin,
        delays=list(delays),
        verdicts=list(verdicts),
    )


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


@contextmanager
def new_delays(path: Path, probe: str) -> Iterator[BinaryIO]:
    """Give the file of a probe's round-trip times, which is there at the end. LivenessError if the disk refuses."""
    name = delays_name(probe)
    try:
        with Directory.open(path) as directory:
            directory.make_directory(name.partition("/")[0]).close()
            with directory.replaced(name) as file:
                yield file
    except OSError as problem:
        raise LivenessError(f"{path / name}: cannot write: {problem.strerror}") from problem


@contextmanager
def mapped_verdicts(path: Path, probe: str, blocks: int, rounds: int) -> Iterator[NDArray[np.uint8]]:
    """Give the verdicts of a probe to be filled in any order, (blocks, rounds): a file mapped into memory."""
    name = verdicts_name(probe)
    try:
        with Directory.open(path) as directory:
            directory.make_directory(name.partition("/")[0]).close()
            with directory.replaced(name, mapped=True) as file:
                states = _map(file, blocks, rounds)
                states[:] = NO_VERDICT
                yield states
    except OSError as problem:
        raise LivenessError(f"{path / name}: cannot write: {problem.strerror}") from problem


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
