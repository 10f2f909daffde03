"""Small surveys with everything that a figure can show: outages, nights, late and negative replies, opt-outs, gaps."""

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.figures.every import survey_figures
from liveness.analysis.survey.gathered import Gathered
from liveness.analysis.survey.results import SurveyResults, analyze_survey
from liveness.planes.blocks import Blocks
from liveness.planes.manifest import ProbeRounds, SurveyManifest, Times, Withdrawn, write_manifest
from liveness.planes.matrix import Planes, write_phases, write_planes
from liveness.planes.rundir import SurveyRun, create_run
from liveness.report.figures.drawers import drawn
from liveness.report.figures.drawing import Drawing

START_NS = 1_796_083_200 * 10**9  # 2026-12-01T00:00:00Z
INTERVAL_S = 660.0
ROUNDS = 131 * 4  # four days
GAP = slice(100, 103)
DOWN = slice(300, 330)
OFFICE, DYNAMIC, SERVERS, SILENT, FULL = range(5)
NUMBERS = (0x0A0000, 0x0A0001, 0x0A0140, 0x0A02FF, 0x0A0300)
"""10.0.0.0/24, 10.0.1.0/24, 10.1.64.0/24, 10.2.255.0/24, 10.3.0.0/24."""


class Truth(NamedTuple):
    """What each address did in each round: (blocks x 256, rounds)."""

    sent: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    late: NDArray[np.bool_]


def truth(seed: int = 1) -> Truth:
    """Return five /24s: office hours, sessions with an outage, few servers, none, and a full one."""
    rng = np.random.default_rng(seed)
    shape = (len(NUMBERS) * 256, ROUNDS)
    sent, positive, negative, late = (np.zeros(shape, np.bool_) for _ in range(4))
    sent[:] = True
    sent[:, GAP] = False
    hours = np.arange(ROUNDS) * INTERVAL_S / 3600 % 24
    block = [slice(index * 256, (index + 1) * 256) for index in range(len(NUMBERS))]
    positive[block[OFFICE]][:80] = ((hours >= 8) & (hours < 18)) & (rng.random((80, ROUNDS)) < 0.98)
    sessions = np.cumsum(rng.random((60, ROUNDS)) < 0.05, axis=1) % 2 == 0
    sessions[:, DOWN] = False
    positive[block[DYNAMIC]][100:160] = sessions
    positive[block[SERVERS]][:9] = rng.random((9, ROUNDS)) < 0.99
    positive[block[FULL]] = rng.random((256, ROUNDS)) < 0.9
    negative[block[SILENT]][7, ::16] = True
    late[block[SERVERS]][200, 5::7] = True
    sent[block[FULL].start + 3, 400:] = False  # opted out
    positive &= sent
    return Truth(sent, positive, negative & sent, late & sent & ~positive)


def write_survey(path: Path, of: Truth, probes: tuple[str, ...] = ("icmp",), **fields: object) -> SurveyRun:
    """Write a survey whose probes all saw the same."""
    blocks = Blocks.of(np.array(NUMBERS, np.uint32))
    create_run(path, blocks)
    packed = (np.packbits(plane, axis=1, bitorder="little") for plane in of)
    planes = Planes(of.sent.shape[1], *packed)
    for probe in probes:
        write_planes(path, probe, iter([planes]))
    write_phases(path, np.zeros(len(of.sent), np.uint32))
    manifest = SurveyManifest(
        name="week", run_id="one", status="complete", interval_s=INTERVAL_S, survey=Times(start="2026-12-01T00:00:00Z"),
        start_ns=START_NS, rounds=of.sent.shape[1], blocks=len(NUMBERS),
        probes={probe: ProbeRounds(withdrawn=ROUNDS - 400) for probe in probes},
        withdrawn=[Withdrawn(first="10.3.0.3", last="10.3.0.3", round=400)],
    )  # fmt: skip
    write_manifest(msgspec.structs.replace(manifest, **fields), path)
    return SurveyRun.open(path)


def analysed(run: SurveyRun) -> tuple[SurveyResults, Gathered]:
    """Return the results of a survey, and what its figures need."""
    gathered = Gathered(run.manifest.rounds)
    return analyze_survey(run, gathered.take_addresses, gathered.take_activity), gathered


def drawings(results: SurveyResults, gathered: Gathered, wanted: tuple[int, ...] = ()) -> dict[str, Drawing]:
    """Return the drawn figures by name."""
    found = [drawn(figure) for figure in survey_figures(results, gathered, wanted)]
    assert len({drawing.name for drawing in found}) == len(found)
    return {drawing.name: drawing for drawing in found}
