"""Whether every word of a figure is legible: whole, and not covered by another."""

from itertools import combinations

import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxBase

from liveness.report.figures.drawing import Drawing
from liveness.report.figures.style import styled


def every_word_is_legible(drawing: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail for a figure with few words, one that is cut, or one that covers another."""
    words = written(drawing, monkeypatch)
    assert len(words) > 8, drawing.name
    for text, box in words:
        assert overlap(box, drawing.figure.bbox) > 0.97 * box.width * box.height, (drawing.name, text)
    for (word, first), (other, second) in combinations(words, 2):
        smaller = min(first.width * first.height, second.width * second.height)
        assert overlap(first, second) < 0.1 * smaller, (drawing.name, word, other)


def written(drawing: Drawing, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Bbox]]:
    """Return every text that is drawn, and where."""
    found = []
    draw = Text.draw

    def noted(text: Text, renderer: RendererBase, *more: object, **named: object) -> None:
        if text.get_visible() and text.get_text().strip():
            found.append((text.get_text(), text.get_window_extent(renderer), text.get_rotation()))
        draw(text, renderer, *more, **named)

    with monkeypatch.context() as patched, styled():
        patched.setattr(Text, "draw", noted)
        FigureCanvasAgg(drawing.figure).draw()  # type: ignore[no-untyped-call]
    return [(text, box) for text, box, rotation in found if rotation in (0, 90)]


def overlap(first: BboxBase, second: BboxBase) -> float:
    common = Bbox.intersection(first, second)
    return 0.0 if common is None else float(common.width * common.height)
