"""Surveys of the model judged with what the analysis makes of them: figures, outages, daily cycles."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from liveness.analysis.survey.block import BlockResult, Timing, analyze_block
from liveness.analysis.survey.sequences import figures_of, histograms_for
from liveness.lab.model.change.answers import answers_at
from liveness.lab.model.population.load import Population
from liveness.lab.model.surveys.changes import NO_LEASE, changes_of, lease_s_of, shift_day
from liveness.lab.model.surveys.check import ProbeComparison
from liveness.lab.model.surveys.silences import is_diurnal, silences_of
from liveness.lab.model.surveys.truth import BlockTruth, events_at, habit_of
from liveness.planes.matrix import Planes, plane_name, row_bytes
from liveness.survey.judgement import Findings, compare_blocks, compare_changes, judge_survey
from tests.lab.model.change.support import SECOND_NS, STARTS_NS, blocks, changing
from tests.lab.model.population.support import whole
from tests.lab.model.surveys.support import Surveyor

if TYPE_CHECKING:
    from numpy.typing import NDArray

INTERVAL_NS = 660 * SECOND_NS
ROUNDS_A_DAY = 131
TIME = """{zones: [-8, 0, 9], behaviours: [
  {name: offices, kind: diurnal, jitter: 1h, present: 0.9},
  {name: homes, kind: sessions, slot: 3h, up: 0.6},
  {name: pools, kind: pool, lease: 24h},
  {name: servers, kind: always},
  {name: bars, kind: diurnal, jitter: 30m, begins: 18h, ends: 1h, days: [mon, tue, wed, thu, fri, sat, sun]}],
  outages: {share: 0.003}, fates: {born: 0.02, dies: 0.02, firewalled: 0.02, renumbered: 0.02}}"""
FLOW = " ".join(TIME.split())


def population(speed: int = 1) -> Population:
    return changing(FLOW.replace("{zones", f"{{speed: {speed}, zones", 1))


@pytest.fixture(scope="module")
def four_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Survey 24 /24s for four days of the model, by frames and a virtual clock."""
    people = population(speed=600)
    path = tmp_path_factory.mktemp("four") / "run"
    return Surveyor(people, blocks(people, 60)[:24], 4 * ROUNDS_A_DAY, INTERVAL_NS // 600).run(path)


def test_what_the_analysis_finds_is_the_truth(four_days: Path) -> None:
    judgement = judge_survey(four_days, population(speed=600))
    (found,) = judgement.findings
    assert judgement.equal, judgement.lines()
    assert found.other_figures == 0
    assert (found.outages_invented, found.outages_missed) == (0, 0)
    assert found.outages_found > 2
    assert found.cycles_right == found.cycles_judged > 12
    assert found.peaks_right == found.peaks_judged > 3
    assert found.other_changes == 0
    assert found.shifts_right == found.shifts_judged > 12
    assert found.leases_right == found.leases_judged > 12
    document = judgement.document()
    assert (document["kind"], document["equal"], document["speed"]) == ("survey", True, 600)
    assert document["probes"]["icmp"]["sent"] == 24 * 256 * 4 * ROUNDS_A_DAY


def test_a_night_without_light_is_an_invented_outage(four_days: Path) -> None:
    """The judge of the test above can fail: a block that always answers is silenced where no event is."""
    people = population(speed=600)
    numbers = blocks(people, 60)[:24]
    kinds = [habit_of(people.tables, int(number), STARTS_NS) for number in numbers]
    block = next(index for index, habit in enumerate(kinds) if not habit.diurnal)
    path = four_days / plane_name("icmp", "positive")
    before = path.read_bytes()
    width = row_bytes(4 * ROUNDS_A_DAY)
    rows = np.frombuffer(before, np.uint8).reshape(-1, width).copy()
    rows[block * 256 : (block + 1) * 256, 20:22] = 0  # sixteen rounds
    try:
        path.write_bytes(rows.tobytes())
        judgement = judge_survey(four_days, people)
    finally:
        path.write_bytes(before)
    (found,) = judgement.findings
    assert not judgement.equal
    assert found.outages_invented == 1
    assert found.other_figures > 20
    assert any(" are wrong" in line for line in judgement.lines())


@dataclass
class Direct:
    """Surveys without packets: the planes of a block are its truth, so that a million of rounds take a minute."""

    population: Population
    rounds: int
    expected: ProbeComparison = field(default_factory=lambda: ProbeComparison("icmp"))
    results: list[BlockResult] = field(default_factory=list)

    def survey(self, number: int) -> None:
        """Survey one /24 (address >> 8)."""
        block = len(self.results)
        tables = self.population.tables
        phases_ms = (np.random.default_rng(number).permutation(256) * (INTERVAL_NS / 256) / 1e6).astype(np.uint32)
        times_ns = STARTS_NS + np.arange(self.rounds) * INTERVAL_NS + phases_ms[:, None].astype(np.int64) * 1_000_000
        answers = np.zeros(times_ns.size, np.int64)
        addresses = whole(np.array([number], np.uint32))
        answers_at(tables, np.repeat(addresses, self.rounds), 0, times_ns.ravel(), answers)
        positive: NDArray[np.bool_] = answers.reshape(times_ns.shape) & 0xF == 1
        event = np.zeros(self.rounds, np.bool_)  # events are of whole /24s: one address stands for all
        events_at(tables, np.repeat(addresses[:1], self.rounds), times_ns[0], event)
        nothing, sent = np.zeros_like(positive), np.ones_like(positive)
        truth = BlockTruth(
            arrived=sent.astype(np.uint8),
            positive=positive,
            expected=positive.astype(np.uint8),
            open=nothing,
            lost=nothing,
            event=np.broadcast_to(event, positive.shape),
            model_ns=times_ns,
            contradictions=0,
        )
        habit = habit_of(tables, number, STARTS_NS)
        cycle = is_diurnal(habit, truth, sent, INTERVAL_NS)
        self.expected.silences += silences_of(block, truth, sent, habit, cycle=cycle)
        self.expected.diurnal.append(cycle)
        self.expected.peak_hours_utc.append(habit.peak_hour_utc)
        self.expected.changes.append(changes_of(positive, sent, INTERVAL_NS))
        self.expected.shift_days.append(shift_day(habit, truth, sent, INTERVAL_NS))
        self.expected.leases_s.append(lease_s_of(habit, truth, sent, INTERVAL_NS))
        planes = Planes(
            self.rounds,
            *(np.packbits(plane, axis=1, bitorder="little") for plane in (sent, positive, nothing, nothing)),
        )
        figures = figures_of(planes, histograms := histograms_for(1, self.rounds))
        timing = Timing(STARTS_NS, INTERVAL_NS / 1e9)
        self.results.append(analyze_block(block, planes, figures, histograms[0], phases_ms, timing))

    def findings(self) -> Findings:
        """Return what the analysis makes of all blocks."""
        findings = Findings("icmp")
        compare_blocks(findings, self.expected, self.results)
        compare_changes(findings, self.expected, self.results)
        return findings


@pytest.mark.slow
def test_no_outage_is_invented_in_a_million_rounds_of_blocks() -> None:
    direct = Direct(population(), 14 * ROUNDS_A_DAY)
    numbers = blocks(direct.population, 546).tolist()
    assert len(numbers) * direct.rounds > 1_000_000
    for number in numbers:
        direct.survey(number)
    found = direct.findings()
    assert (found.outages_invented, found.outages_missed) == (0, 0)
    assert found.outages_found > 200
    assert found.cycles_judged > 300
    assert found.cycles_right / found.cycles_judged > 0.99
    assert found.peaks_judged > 60
    assert found.peaks_right == found.peaks_judged
    assert found.other_changes == 0
    assert found.shifts_judged > 300
    assert found.shifts_right == found.shifts_judged
    assert sum(day is not None and day >= 0 for day in direct.expected.shift_days) > 10
    assert found.leases_judged > 300
    assert found.leases_right / found.leases_judged > 0.99
    assert sum(bool(lease_s) for lease_s in direct.expected.leases_s if lease_s != NO_LEASE) > 60
    offices = [one for result in direct.results for one in result.outages if one.weekly]
    assert len(offices) > 50
