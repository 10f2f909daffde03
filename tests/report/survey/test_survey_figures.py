"""Figures of surveys as they are drawn: read back from axes, legible, the same bytes for the same results."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.patches import StepPatch
from numpy.typing import NDArray

from liveness.analysis.survey.delays import DelayTable
from liveness.analysis.survey.figures.contents import POSITIVE
from liveness.analysis.survey.figures.every import survey_figures
from liveness.analysis.survey.gathered import Gathered
from liveness.analysis.survey.results import SurveyResults
from liveness.report.figures.dates import date_axis
from liveness.report.figures.drawers import drawn
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import styled
from liveness.report.map.hilbert import place_of
from liveness.report.options import Format
from tests.report.legible import every_word_is_legible
from tests.report.survey.surveys import (
    DOWN,
    GAP,
    NUMBERS,
    ROUNDS,
    START_NS,
    analysed,
    drawings,
    truth,
    write_survey,
)

TRUTH = truth()
Survey = tuple[SurveyResults, Gathered]


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return analysed(write_survey(tmp_path_factory.mktemp("survey") / "run", TRUTH))


@pytest.fixture(scope="module")
def figures(survey: Survey) -> dict[str, Drawing]:
    return drawings(*survey)


def steps(drawing: Drawing, gid: str, axes: int = 0) -> StepPatch:
    """Return the stairs of a figure with this id."""
    (found,) = [patch for patch in drawing.figure.axes[axes].patches if patch.get_gid() == gid]
    assert isinstance(found, StepPatch)
    return found


def pixels(artist: ScalarMappable) -> NDArray[np.float64]:
    """Return the values of an image or a mesh, NaN where it has none."""
    array = artist.get_array()
    assert array is not None
    return np.ma.filled(np.ma.asarray(array, np.float64), np.nan)


def marks(drawing: Drawing) -> list[tuple[float, float]]:
    """Return where published values are marked."""
    lines = [line for line in drawing.figure.axes[0].lines if line.get_gid() == "published"]
    return [(float(x), float(y)) for line in lines for x, y in np.asarray(line.get_xydata())]


def test_a_survey_has_these_figures(figures: dict[str, Drawing]) -> None:
    assert list(figures) == [
        "density-icmp",
        "availability-icmp",
        "up-periods-icmp",
        "occupancy-icmp",
        "over-time-icmp",
        "map-availability-icmp",
        "map-phase-icmp",
        "outages-over-time-icmp",
        "outage-raster-icmp",
        "raster-10.0.1-icmp",
        "raster-10.0.0-icmp",
        "raster-10.3.0-icmp",
    ]


def test_the_density_has_a_square_for_each_pair_of_bins(figures: dict[str, Drawing], survey: Survey) -> None:
    (mesh,) = [found for found in figures["density-icmp"].figure.axes[0].collections if isinstance(found, QuadMesh)]
    values = np.nan_to_num(pixels(mesh)).reshape(100, 100)
    assert np.array_equal(values.T, survey[1].of("icmp").density)
    assert values.sum() == TRUTH.positive.any(axis=1).sum()


def test_curves_are_distributions_and_published_values_are_marked(figures: dict[str, Drawing]) -> None:
    for name in ("availability-icmp", "up-periods-icmp", "occupancy-icmp"):
        lines = [line for line in figures[name].figure.axes[0].lines if str(line.get_gid()).startswith("curve:")]
        assert lines
        for line in lines:
            shares = np.asarray(line.get_ydata())
            assert (np.diff(shares) >= 0).all()
            assert shares[-1] == pytest.approx(1, abs=0.2 if "Kaplan" in str(line.get_gid()) else 1e-9)
    assert marks(figures["up-periods-icmp"]) == [(81 * 60, 0.5)]
    assert marks(figures["occupancy-icmp"]) == [(0.05, 0.25), (0.5, 0.91)]
    at_a_time, ever, *_ = figures["occupancy-icmp"].figure.axes[0].lines
    assert (np.asarray(ever.get_xdata()) * 256).tolist() == [0, 9, 60, 80, 256]
    shares = TRUTH.positive.sum(axis=1) / TRUTH.sent.sum(axis=1)
    sums = sorted(shares.reshape(len(NUMBERS), 256).sum(axis=1))
    assert np.asarray(at_a_time.get_xdata()) * 256 == pytest.approx(sums)  # the silent /24 is the 0 at the beginning
    assert np.asarray(ever.get_ydata()).tolist() == [0, 0.25, 0.5, 0.75, 1]


def test_delays_are_drawn_where_round_trip_times_are_known(survey: Survey) -> None:
    results, gathered = survey
    table = DelayTable(7, 700, np.outer(np.arange(1, 8), np.arange(1, 8)) / 10)
    probe = replace(results.probes[0], delays=table)
    found = {figure.id: figure for figure in survey_figures(replace(results, probes=[probe]), gathered)}
    drawing = drawn(found["delays-icmp"])
    lines = {line.get_gid(): line for line in drawing.figure.axes[0].lines}
    assert np.asarray(lines["curve:95% of addresses"].get_xdata()).tolist() == table.timeout_s[4].tolist()
    assert np.asarray(lines["curve:50% of addresses"].get_ydata()).tolist() == [0.01, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99]
    assert {(5, 0.95), (145, 0.99), (0.16, 0.01)} <= set(marks(drawing))
    assert "2.5 s catches 95%" in drawing.alt


def test_activity_over_time_is_by_round_in_utc(figures: dict[str, Drawing]) -> None:
    stairs = steps(figures["over-time-icmp"], "measured")
    ever = TRUTH.positive.any(axis=1)
    with np.errstate(invalid="ignore"):
        expected = TRUTH.positive[ever].sum(axis=0) / TRUTH.sent[ever].sum(axis=0)
    assert np.allclose(stairs.get_data()[0], expected, equal_nan=True)
    edges = np.asarray(stairs.get_data()[1])
    assert edges[0] == START_NS / 86_400e9
    assert (edges[-1] - edges[0]) * 86_400 == pytest.approx(ROUNDS * 660)
    assert np.isnan(stairs.get_data()[0][GAP]).all()


def test_the_outage_is_where_it_was(figures: dict[str, Drawing]) -> None:
    stairs = steps(figures["outages-over-time-icmp"], "line:full outages")
    values = np.asarray(stairs.get_data()[0])
    assert np.flatnonzero(values).tolist() == list(range(DOWN.start, DOWN.stop))
    assert values.max() == 1 / 4  # of the four /24s that ever answered
    assert marks(figures["outages-over-time-icmp"])[0][1] == 0.003
    (image,) = figures["outage-raster-icmp"].figure.axes[0].images
    row = pixels(image)[0]
    assert (row[DOWN] == 0).all()
    assert np.isnan(row[GAP]).all()
    assert row[DOWN.stop :].max() > 0.3
    labels = [label.get_text() for label in figures["outage-raster-icmp"].figure.axes[0].get_yticklabels()]
    assert labels == ["10.0.1.0/24"]


def test_the_raster_of_a_block_has_a_row_for_each_address(figures: dict[str, Drawing]) -> None:
    upper, lower = figures["raster-10.0.1-icmp"].figure.axes
    (image,) = lower.images
    states = np.asarray(image.get_array())
    assert states.shape == (256, ROUNDS)
    assert np.array_equal(states == POSITIVE, TRUTH.positive[256:512])
    assert lower.get_ylim() == (255.5, -0.5)
    (line,) = [patch for patch in upper.patches if patch.get_gid() == "active"]
    assert isinstance(line, StepPatch)
    assert np.nanmax(line.get_data()[0]) == TRUTH.positive[256:512].sum(axis=0).max()
    legend = upper.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["not sent", "silent", "positive"]


def test_maps_have_each_block_at_its_place_of_the_curve(figures: dict[str, Drawing], survey: Survey) -> None:
    values = pixels(figures["map-availability-icmp"].figure.axes[0].images[0])
    empty = pixels(figures["map-availability-icmp"].figure.axes[0].images[1])
    order, square = 11, 7  # cells are /22s of 10.0.0.0/14: 7 + 4
    side = 1 << (order - square)
    assert values.shape == (side, side)
    top, left = divmod(int(place_of(NUMBERS[0] >> 10, square)), 1 << square)
    cells: dict[tuple[int, int], list[float]] = {}
    for number, block in zip(NUMBERS, survey[0].probes[0].blocks, strict=True):
        row, column = divmod(int(place_of(number >> 2, order)), 1 << order)
        mean = block.readings[0].mean(block.readings[0].a_sum)
        cells.setdefault((row - top * side, column - left * side), []).extend([] if mean is None else [mean])
    assert len(cells) == 4, "two of the /24s are neighbours"
    for (row, column), means in cells.items():
        if means:
            assert values[row, column] == pytest.approx(np.mean(means))
        else:
            assert np.isnan(values[row, column])
            assert empty[row, column] == 0
    assert np.count_nonzero(~np.isnan(values)) + np.count_nonzero(~np.isnan(empty)) == len(cells)


@given(st.floats(1e-3, 4e8), st.floats(0, 2e9))
@settings(max_examples=60, deadline=None)
def test_any_length_of_time_has_dates(length_s: float, start_s: float) -> None:
    """Warnings are errors in tests: matplotlib warns where it finds no interval of ticks, as it did for four days."""
    with styled():
        figure, axes = panel()
        date_axis(axes, (start_s / 86_400, (start_s + length_s) / 86_400))
        figure.draw_without_rendering()
        assert 1 <= len(axes.get_xticks()) <= 10


def test_every_word_of_a_survey_is_legible(figures: dict[str, Drawing], monkeypatch: pytest.MonkeyPatch) -> None:
    for drawing in figures.values():
        every_word_is_legible(drawing, monkeypatch)


def test_figures_have_words_for_those_who_cannot_see_them(figures: dict[str, Drawing]) -> None:
    for drawing in figures.values():
        assert len(drawing.alt) > 60, drawing.name
        assert any(letter.isdigit() for letter in drawing.alt)
        assert drawing.title.endswith(", icmp")
        assert all(note.endswith(".") for note in drawing.notes)


def test_the_same_survey_gives_the_same_bytes(figures: dict[str, Drawing], survey: Survey) -> None:
    again = drawings(*survey)
    for name in ("density-icmp", "raster-10.0.1-icmp", "map-phase-icmp"):
        for form in forms():
            assert again[name].rendered(form) == figures[name].rendered(form)


def forms() -> Iterator[Format]:
    yield from ("svg", "png")
