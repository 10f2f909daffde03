"""The judge of surveys: right surveys are right, each fault is found and counted, losses are no faults."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.lab.model.population.load import Population, parse_population
from liveness.lab.model.responder.conditions import parse_conditions
from liveness.lab.model.responder.record import SUMMARY, read_summary
from liveness.lab.model.surveys.check import SurveyComparison, check_survey
from liveness.lab.model.surveys.sequences import ONES, ONES_REPAIRED, PERIODS, PERIODS_REPAIRED, SENT, figures_of
from liveness.lab.source import RECORD_FOLDER
from liveness.planes.matrix import plane_name, row_bytes
from tests.lab.model.change.support import POPULATION, blocks, changing
from tests.lab.model.surveys.support import Surveyor

INTERVAL_NS = 1_100_000_000
SPEED = 600
BEHAVIOURS = (
    "behaviours: [{name: a, kind: diurnal, jitter: 1h}, {name: b, kind: sessions, slot: 2h, up: 0.7},"
    " {name: c, kind: pool, lease: 12h}, {name: d, kind: always}]"
)
EVENTS = (
    "outages: {share: 0.02, shortest: 1h, longest: 3h}, fates: {within: 48h, born: 0.1, dies: 0.1, firewalled: 0.1}"
)


def population(more: str = "") -> Population:
    return changing(f"{{speed: {SPEED}, zones: [-8, 0, 9], {BEHAVIOURS}, {EVENTS}{more}}}")


def chosen(count: int = 12) -> NDArray[np.uint32]:
    return blocks(population(), 60)[:count]


def altered(run: Path, folder: Path, plane: str, address: int, number: int) -> Path:
    """Return a copy of a run with one bit of a plane turned."""
    copy = Path(shutil.copytree(run, folder / plane))
    path = copy / plane_name("icmp", plane)
    content = bytearray(path.read_bytes())
    content[address * row_bytes(ROUNDS) + number // 8] ^= 1 << number % 8
    path.write_bytes(content)
    return copy


ROUNDS = 60


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Take a survey without loss."""
    return Surveyor(population(), chosen(), ROUNDS, INTERVAL_NS).run(tmp_path_factory.mktemp("exact") / "run")


def judged(run: Path, more: str = "") -> SurveyComparison:
    return check_survey(run, population(more))


def test_a_survey_without_loss_is_the_truth(exact: Path) -> None:
    comparison = judged(exact)
    (icmp,) = comparison.probes
    assert icmp.examples == []
    assert comparison.equal
    assert (icmp.sent, icmp.wrong, icmp.other_figures, icmp.lost) == (12 * 256 * ROUNDS, 0, 0, 0)
    assert 0 < icmp.figures[:, ONES].sum() < icmp.sent
    assert icmp.figures[:, PERIODS].max() > 2
    assert comparison.timing.within_50_ms == 1
    assert comparison.timing.gaps == 12 * 256 * (ROUNDS - 1)
    assert comparison.timing.closest_ms is not None
    assert comparison.timing.closest_ms > comparison.timing.spacing_ms / 2


@pytest.mark.parametrize("plane", ["positive", "negative", "late"])
def test_one_wrong_bit_is_found(exact: Path, tmp_path: Path, plane: str) -> None:
    comparison = judged(altered(exact, tmp_path, plane, 300, 17))
    (icmp,) = comparison.probes
    assert not comparison.equal
    assert icmp.wrong == 1
    assert len(icmp.examples) == 1
    assert ", round 17: " in icmp.examples[0]


def test_a_probe_that_is_not_recorded_as_sent_is_counted(exact: Path, tmp_path: Path) -> None:
    (icmp,) = judged(altered(exact, tmp_path, "sent", 300, 17)).probes
    assert (icmp.unrecorded, icmp.wrong, icmp.never_arrived) == (1, 0, 0)


def test_rounds_that_were_not_sent_are_outside_of_all_figures(tmp_path: Path) -> None:
    left_out = np.random.default_rng(3).random((4 * 256, ROUNDS)) < 0.1
    left_out[:, 20:25] = True
    run = Surveyor(population(), chosen(4), ROUNDS, INTERVAL_NS, not_sent=left_out).run(tmp_path / "run")
    comparison = judged(run)
    (icmp,) = comparison.probes
    assert comparison.equal
    assert icmp.other_figures == 0
    assert (icmp.figures[:, SENT] == (~left_out).sum(axis=1)).all()


def test_a_sent_bit_without_a_probe_is_a_false_claim(tmp_path: Path) -> None:
    left_out = np.zeros((256, ROUNDS), np.bool_)
    left_out[77, 8] = True
    run = Surveyor(population(), chosen(1), ROUNDS, INTERVAL_NS, not_sent=left_out).run(tmp_path / "run")
    comparison = judged(altered(run, tmp_path, "sent", 77, 8))
    assert not comparison.equal
    assert comparison.probes[0].never_arrived == 1


def test_losses_are_told_from_faults_and_repair_makes_up_for_single_ones(tmp_path: Path) -> None:
    lossy = parse_conditions({"loss": 0.005, "latency": {"median": "5ms", "jitter": "1ms"}}, "test")
    run = Surveyor(population(), chosen(), ROUNDS, INTERVAL_NS, conditions=lossy).run(tmp_path / "run")
    comparison = judged(run)
    (icmp,) = comparison.probes
    assert comparison.equal, icmp.examples
    assert icmp.lost > 200
    assert icmp.other_figures > 100
    assert icmp.single_losses > 100
    assert icmp.single_losses_repaired == icmp.single_losses


def test_late_replies_are_late_and_not_silent(tmp_path: Path) -> None:
    late = ", late: {hosts: 0.3, replies: 0.6, up_to: 40m}, slow_first: {hosts: 0.2, idle: 5m, up_to: 30s}"
    run = Surveyor(population(late), chosen(), ROUNDS, INTERVAL_NS).run(tmp_path / "run")
    comparison = judged(run, late)
    (icmp,) = comparison.probes
    assert comparison.equal, icmp.examples
    with_late = int(np.unpackbits(np.fromfile(run / plane_name("icmp", "late"), np.uint8)).sum())
    assert with_late > 1000
    assert judged(run).probes[0].contradictions == 0  # delays are of the record, answers of the model


def test_late_replies_that_waited_when_their_lab_ended_are_not_missed(tmp_path: Path) -> None:
    late = ", late: {hosts: 0.3, replies: 0.6, up_to: 40m}"  # of the model: up to four seconds, some four rounds
    resumed = 30
    left_out = np.zeros((4 * 256, ROUNDS), np.bool_)
    left_out[:, resumed - 1] = True  # a survey that is resumed counts the interval before its end as not sent
    surveyor = Surveyor(population(late), chosen(4), ROUNDS, INTERVAL_NS, not_sent=left_out, lab_ends=(resumed,))
    run = surveyor.run(tmp_path / "run")
    comparison = judged(run, late)
    (icmp,) = comparison.probes
    assert comparison.equal, icmp.examples
    record = run / RECORD_FOLDER / SUMMARY
    summary = read_summary(run)
    summary.ended_ns = []
    record.write_bytes(msgspec.json.encode(summary))
    assert judged(run, late).probes[0].wrong > 0


def test_a_survey_is_judged_by_what_its_place_sees(tmp_path: Path) -> None:
    """Some /24s block one place, and some addresses answer the other one only: for its own place a survey is right."""
    section = "{exclusive: 0.2, places: [{name: a, blocked: [{prefix: 24, share: 0.3}]}, {name: b}]}"
    several = parse_population(f"{POPULATION}time: {{speed: {SPEED}}}\nvantages: {section}\n", "several.yaml")
    numbers = blocks(several, 12)
    up = {}
    for place in ("a", "b"):
        run = Surveyor(several, numbers, 6, INTERVAL_NS, place=place).run(tmp_path / place)
        comparison = check_survey(run, several)
        (icmp,) = comparison.probes
        assert (icmp.examples, icmp.contradictions, comparison.equal) == ([], 0, True)
        up[place] = int((icmp.figures[:, ONES] > 0).sum())
    assert 0 < up["a"] < up["b"]
    record = tmp_path / "a" / RECORD_FOLDER / SUMMARY
    record.write_bytes(record.read_bytes().replace(b'"vantage": "a"', b'"vantage": "b"'))
    (icmp,) = check_survey(tmp_path / "a", several).probes
    assert icmp.contradictions > 0, "the judge knows one place from another"


def test_another_population_is_no_truth_of_this_survey(exact: Path) -> None:
    comparison = check_survey(exact, population().reseeded(6))
    assert not comparison.equal
    assert comparison.probes[0].contradictions > 100


def test_what_cannot_be_judged_is_refused(exact: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(exact, tmp_path / "bare"))
    shutil.rmtree(bare / "lab")
    with pytest.raises(UsageError, match="no record of the model"):
        judged(bare)
    other = Path(shutil.copytree(exact, tmp_path / "other"))
    text = (other / "lab/record.json").read_text()
    begin = text.index('"clock"')
    (other / "lab/record.json").write_text(text[:begin] + '"clock": null, ' + text[text.index('"unlogged"') :])
    with pytest.raises(UsageError, match=r"\$\.clock: missing"):
        judged(other)


def test_figures_are_those_of_a_count_by_hand() -> None:
    text = ["1", "0", "101", "1001", "11011", "0101010", "1x01", "x0x1x0x1", "xxxx"]
    expected = [
        (1, 1, 1, 1, 1),
        (1, 0, 0, 0, 0),
        (3, 2, 2, 3, 1),
        (4, 2, 2, 2, 2),
        (5, 4, 2, 5, 1),
        (7, 3, 3, 5, 1),
        (3, 2, 2, 3, 1),
        (4, 2, 2, 3, 1),
        (0, 0, 0, 0, 0),
    ]
    width = max(map(len, text))
    up = np.array([[one == "1" for one in row.ljust(width, "x")] for row in text])
    sent = np.array([[one != "x" for one in row.ljust(width, "x")] for row in text])
    figures = figures_of(up, sent)
    assert [
        tuple(row) for row in figures[:, [SENT, ONES, PERIODS, ONES_REPAIRED, PERIODS_REPAIRED]].tolist()
    ] == expected
