"""Export of surveys as Trinocular's raw outage data: the probes that it would have sent, and its verdicts."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.sequences import PLAIN, AddressFigures, availability, figures_of, histograms_for
from liveness.analysis.survey.trinocular import Replay, is_judged, replayed
from liveness.errors import UsageError
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.matrix import Planes
from liveness.planes.rundir import SurveyRun
from liveness.survey.trinocular_raw import HEADER, encode_log

BLOCKS_AT_ONCE: Final = 16


def trinocular_parts(run: SurveyRun, probe: str) -> Iterator[bytes]:
    """Yield the file in parts: the lines of one /24 after those of another, for the /24s that Trinocular judges.

    `a_short` and `a_oper` are A(E(b)) of the whole survey. UsageError for a survey that has verdicts of its own.
    """
    if probe in run.manifest.verdicts:
        raise UsageError(f"{run.path}: imported from Trinocular's raw data: use the files that it was imported from")
    yield f"{HEADER}\n".encode()
    rounds, blocks = run.manifest.rounds, len(run.blocks)
    with run.matrix() as matrix:
        phases_ms = matrix.phases_ms()
        for first in range(0, blocks, BLOCKS_AT_ONCE):
            count = min(BLOCKS_AT_ONCE, blocks - first)
            planes = matrix.planes(probe, first, count)
            figures = figures_of(planes, histograms_for(count, rounds))
            for index in range(count):
                mine = figures.rows(index * BLOCK_ADDRESSES, BLOCK_ADDRESSES)
                phase_ms = phases_ms[(first + index) * BLOCK_ADDRESSES : (first + index + 1) * BLOCK_ADDRESSES].min()
                start_s = run.manifest.start_ns / 1e9 + float(phase_ms) / 1000
                yield from _block(run, first + index, planes.block(index), mine, start_s)


def _block(run: SurveyRun, block: int, planes: Planes, figures: AddressFigures, start_s: float) -> Iterator[bytes]:
    octets = np.flatnonzero(figures.ones[:, PLAIN] > 0)
    overall = availability(figures, PLAIN)[octets]
    if not is_judged(overall):
        return
    sent, positive = planes.sent[octets], planes.positive[octets]
    found = replayed(block, sent, positive, planes.rounds, overall, logged=True)
    name = f"{int(run.blocks.numbers[block]) << 8:08x}"
    yield "".join(
        _line(name, r, int(start_s + r * run.manifest.interval_s), found, octets)
        for r in np.flatnonzero(found.probes).tolist()
    ).encode()


def _line(name: str, number: int, start_s: int, found: Replay, octets: NDArray[np.int64]) -> str:
    log = found.log[number, : found.probes[number]].tolist()
    probes = [(int(octets[entry >> 1]), bool(entry & 1)) for entry in log]
    positive = sum(answered for _, answered in probes)
    values = (
        name,
        str(number),
        str(start_s),
        f"{found.availability:.4f}",
        f"{found.availability:.4f}",
        str(int(found.states[number])),
        f"{1 - found.beliefs[number]:.6g}",
        str(positive),
        str(len(probes) - positive),
        encode_log(probes),
    )
    return "\t".join(values) + "\n"
