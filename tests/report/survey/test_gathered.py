"""What figures of surveys are made of, against counts by hand: distributions, activity, states, outages, maps, fits."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.analysis.survey.diurnal import Diurnal
from liveness.analysis.survey.figures.blocks import chosen_blocks, example_blocks, states_of
from liveness.analysis.survey.figures.contents import (
    LATE,
    NEGATIVE,
    NOT_SENT,
    POSITIVE,
    SILENT,
    BlockRaster,
    SpaceMap,
)
from liveness.analysis.survey.figures.every import survey_figures
from liveness.analysis.survey.figures.maps import detail, square_of
from liveness.analysis.survey.figures.outages import down_by_round
from liveness.analysis.survey.fit import daily_fit
from liveness.analysis.survey.gathered import LEVELS, UNKNOWN, Gathered, bins
from liveness.analysis.survey.outages import Outage
from liveness.analysis.survey.results import SurveyResults
from liveness.errors import LivenessError, UsageError
from liveness.planes.manifest import Withdrawn
from liveness.report.figures.drawers import drawn
from tests.report.survey.surveys import (
    DYNAMIC,
    FULL,
    GAP,
    NUMBERS,
    OFFICE,
    ROUNDS,
    SERVERS,
    Truth,
    analysed,
    truth,
    write_survey,
)

TRUTH = truth()


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> tuple[SurveyResults, Gathered]:
    return analysed(write_survey(tmp_path_factory.mktemp("survey") / "run", TRUTH))


def availability(of: Truth) -> list[tuple[Fraction, Fraction]]:
    """Return A and U of every address that ever answered, by counting."""
    found = []
    for sent, positive in zip(of.sent, of.positive, strict=True):
        sequence = positive[sent].astype(int).tolist()
        if sum(sequence):
            starts = sum(now > before for before, now in zip([0, *sequence], sequence, strict=False))
            a = Fraction(sum(sequence), len(sequence))
            found.append((a, a / starts))
    return found


def test_distributions_are_those_of_the_addresses(survey: tuple[SurveyResults, Gathered]) -> None:
    gathered = survey[1].of("icmp")
    expected = availability(TRUTH)
    density = np.zeros((100, 100), np.int64)
    for a, u in expected:
        density[max(0, -(-a * 100 // 1) - 1), max(0, -(-u * 100 // 1) - 1)] += 1
    assert np.array_equal(gathered.density, density)
    assert density.sum() == len(expected) == 80 + 60 + 9 + 256
    for place in (0, 1):
        below = np.cumsum(gathered.shares[0, place])
        for thousandths in (1, 17, 250, 500, 904, 999, 1000):
            count = sum(pair[place] * 1000 <= thousandths for pair in expected)
            assert below[thousandths - 1] == count, (place, thousandths)


@given(st.integers(1, 2000), st.integers(1, 2000), st.sampled_from([100, 1000]))
def test_a_bin_holds_the_values_up_to_its_upper_edge(part: int, whole: int, count: int) -> None:
    part = min(part, whole)
    expected = max(0, -(-part * count // whole) - 1)
    assert bins(np.array([part / whole]), count).tolist() == [expected]


def test_activity_by_round_counts_addresses_that_ever_answered(survey: tuple[SurveyResults, Gathered]) -> None:
    gathered = survey[1].of("icmp")
    ever = TRUTH.positive.any(axis=1)
    assert np.array_equal(gathered.active, TRUTH.positive[ever].sum(axis=0))
    assert np.array_equal(gathered.probed, TRUTH.sent[ever].sum(axis=0))
    assert list(gathered.levels) == [DYNAMIC]
    rows = slice(DYNAMIC * 256 + 100, DYNAMIC * 256 + 160)
    levels = np.round(LEVELS * TRUTH.positive[rows].sum(axis=0) / 60).astype(np.uint8)
    levels[GAP] = UNKNOWN
    assert np.array_equal(gathered.levels[DYNAMIC], levels)


def test_states_of_rounds(survey: tuple[SurveyResults, Gathered]) -> None:
    with survey[0].run.matrix() as matrix:
        states = states_of(matrix.planes("icmp", 0, len(NUMBERS)))
    expected = np.full(states.shape, NOT_SENT)
    expected[TRUTH.sent] = SILENT
    expected[TRUTH.late], expected[TRUTH.negative], expected[TRUTH.positive] = LATE, NEGATIVE, POSITIVE
    assert np.array_equal(states, expected)
    assert set(np.unique(states)) == {NOT_SENT, SILENT, POSITIVE, NEGATIVE, LATE}


def test_rounds_of_an_address_that_opted_out_are_withdrawn(survey: tuple[SurveyResults, Gathered]) -> None:
    found = {figure.id: figure for figure in survey_figures(*survey, [FULL, OFFICE])}
    raster = found["raster-10.3.0-icmp"].content
    assert isinstance(raster, BlockRaster)
    withdrawn = raster.states == 5
    assert withdrawn[3, 400:].all()
    assert withdrawn.sum() == ROUNDS - 400
    other = found["raster-10.0.0-icmp"].content
    assert isinstance(other, BlockRaster)
    assert not (other.states == 5).any()
    assert other.fitted is not None, "its /24 has a daily cycle"
    assert raster.fitted is None


def test_a_damaged_list_of_those_who_opted_out_is_named(tmp_path: Path) -> None:
    entry = Withdrawn(first="10.0.0.3", last="10.0.0.x", round=4)
    run = write_survey(tmp_path / "run", TRUTH, withdrawn=[entry])
    with pytest.raises(LivenessError, match=r"manifest\.json: withdrawn: .*10\.0\.0\.x"):
        list(survey_figures(*analysed(run)))


@pytest.mark.parametrize(
    ("rounds", "interval_s", "step"), [(1, 660.0, 1), (2, 0.001, 1), (20, 1.1, 2), (3, 86_400.0 * 366, 3)]
)
def test_odd_surveys_have_figures_too(tmp_path: Path, rounds: int, interval_s: float, step: int) -> None:
    sent = np.ones((len(NUMBERS) * 256, rounds), np.bool_)
    nothing, positive = np.zeros_like(sent), np.zeros_like(sent)
    positive[:300, ::step] = True
    run = write_survey(tmp_path / "run", Truth(sent, positive, nothing, nothing), interval_s=interval_s)
    found = list(survey_figures(*analysed(run)))
    assert len(found) >= 8
    for figure in found:
        assert drawn(figure).rendered("png").startswith(b"\x89PNG")


def test_examples_are_an_outage_a_daily_cycle_and_many_changes(survey: tuple[SurveyResults, Gathered]) -> None:
    assert example_blocks(survey[0].probes[0]) == [DYNAMIC, OFFICE, FULL]


def test_blocks_are_named_by_prefix_or_address(survey: tuple[SurveyResults, Gathered]) -> None:
    run = survey[0].run
    assert chosen_blocks(run, ["10.1.64.0/24", "10.0.0.7", "10.1.64.255"]) == [SERVERS, OFFICE]
    for text, complaint in (
        ("10.9.9.0/24", "not surveyed"),
        ("255.255.255.0/24", "not surveyed"),
        ("10.0.0.0/23", "more than a /24"),
        ("10.0.0.0/33", "--block 10.0.0.0/33"),
        ("nonsense", "--block nonsense"),
    ):
        with pytest.raises(UsageError, match=complaint):
            chosen_blocks(run, [text])


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19))))
def test_blocks_down_by_round(pairs: list[tuple[int, int]]) -> None:
    outages = [Outage(0, min(pair), max(pair), 1, None) for pair in pairs]
    expected = [sum(outage.first <= r <= outage.last for outage in outages) for r in range(20)]
    assert down_by_round(outages, 20).tolist() == expected


@pytest.mark.parametrize("peak", [0.5, 9.0, 23.75])
def test_the_fit_finds_the_wave_that_is_there(peak: float) -> None:
    start_s = 1_796_083_200.0 + 5 * 3600
    hours = (start_s + np.arange(700) * 660.0) / 3600
    series = 30 + 0.01 * np.arange(700) + 4 * np.cos(2 * np.pi * (hours - peak) / 24)
    series[100:180] = np.nan
    found = daily_fit(series, 660.0, start_s)
    assert found is not None
    assert found.amplitude == pytest.approx(4)
    assert found.peak_hour_utc == pytest.approx(peak)
    known = ~np.isnan(series)
    assert np.allclose(found.fitted[known], series[known])
    assert not np.isnan(found.fitted).any()


def test_there_is_no_fit_without_three_days_or_half_of_the_rounds() -> None:
    assert daily_fit(np.ones(392), 660.0, 0.0) is None
    assert daily_fit(np.ones(393), 660.0, 0.0) is not None
    half = np.where(np.arange(400) < 200, 1.0, np.nan)
    assert daily_fit(half, 660.0, 0.0) is None


def test_the_square_of_a_map_is_the_smallest_with_all_blocks() -> None:
    assert square_of(np.array([0x0A0000], np.uint32)) == (8, 0x0A00)  # a /16 at least
    assert square_of(np.array([0x0A0000, 0x0A00FF], np.uint32)) == (8, 0x0A00)
    assert square_of(np.array([0x0A0000, 0x0A0300], np.uint32)) == (7, 0x0A00 >> 2)
    assert square_of(np.array([0x000001, 0xDFFFFF], np.uint32)) == (0, 0)
    assert [detail(blocks) for blocks in (1, 100, 400, 2048, 24_000, 10**6)] == [4, 4, 5, 7, 7, 7]


def test_hours_are_averaged_around_midnight(survey: tuple[SurveyResults, Gathered]) -> None:
    content = {figure.id: figure for figure in survey_figures(*survey)}["map-phase-icmp"].content
    assert isinstance(content, SpaceMap)
    known = content.values[~np.isnan(content.values)]
    assert known == pytest.approx([13.0], abs=0.2), "the middle of eight to eighteen"
    results, gathered = survey
    blocks = list(results.probes[0].blocks)
    hours = {OFFICE: 23.0, DYNAMIC: 1.5}  # two /24s of one cell
    for index, hour in hours.items():
        diurnal = Diurnal("strict", amplitude=20.0, peak_hour_utc=hour)
        blocks[index] = replace(blocks[index], diurnal=diurnal)
    results = replace(results, probes=[replace(results.probes[0], blocks=blocks)])
    content = {figure.id: figure for figure in survey_figures(results, gathered)}["map-phase-icmp"].content
    assert isinstance(content, SpaceMap)
    assert content.values[0] == pytest.approx(0.25)


def test_a_survey_in_which_nobody_answers_has_no_figure_of_answers(tmp_path: Path) -> None:
    sent = np.ones((len(NUMBERS) * 256, 20), np.bool_)
    nothing = np.zeros_like(sent)
    found = list(survey_figures(*analysed(write_survey(tmp_path / "run", Truth(sent, nothing, nothing, nothing)))))
    assert found == []
