"""Pictures of results: each is drawn once, and it does not matter by how many processes."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from liveness.analysis.figures import Figure
from liveness.report.figures import drawers
from liveness.report.figures.drawing import Drawing
from liveness.report.files import write_report
from liveness.report.map.hilbert import ORDER, SIDE, on_map, square_of
from liveness.report.options import Format, Outputs
from tests.report.runs import full, results, weekly


def test_a_figure_of_a_file_and_of_the_page_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Counter[str]()
    draw = drawers.drawn

    def counted(figure: Figure) -> Drawing:
        found[figure.id] += 1
        return draw(figure)

    monkeypatch.setattr(drawers, "drawn", counted)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})  # all are drawn in this process
    runs = results(*weekly(2))
    outputs = Outputs(tmp_path / "figures", ("png",), tmp_path / "page.html", None, ())
    list(write_report(outputs, runs, 5))
    expected = Counter(figure.id for run in runs.runs for figure in run.figures())
    expected.update(figure.id for figure in runs.figures())
    assert found == expected
    assert len(list((tmp_path / "figures").rglob("*.png"))) == expected.total()
    assert (tmp_path / "page.html").read_text().count("data:image/svg+xml") == expected.total()


def test_several_processes_draw_the_same_pictures_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = list(full().figures())[:7]
    formats: tuple[Format, ...] = ("svg", "png")
    pictures = []
    for cores in (1, 2, 3):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        pictures.append([(saved.name, dict(saved.pictures)) for saved in drawers.saved(figures, formats)])
    assert [name for name, _ in pictures[0]] == [figure.id for figure in figures]
    assert pictures[0] == pictures[1] == pictures[2]


@pytest.mark.parametrize("order", [1, 4, 7, 11])
def test_a_prefix_alone_is_laid_out_as_within_the_whole(order: int) -> None:
    """Its curve may be turned there."""
    rng = np.random.default_rng(order)
    values = rng.integers(0, 1 << 16, SIDE * SIDE).astype(np.uint16)
    whole, side = on_map(values), SIDE >> order
    for number in {0, 4**order - 1, *rng.integers(0, 4**order, 4).tolist()}:
        row, column = square_of(number, order)
        expected = whole[row * side : (row + 1) * side, column * side : (column + 1) * side]
        many = 1 << (2 * (ORDER - order))
        assert np.array_equal(on_map(values[number * many : (number + 1) * many], order, number), expected)
