"""One figure: what it is called, what it says in words, and its picture as SVG or PNG, the same bytes every time."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liveness.analysis.figures import Figure as Described
from liveness.report.figures.style import PNG_DPI, styled
from liveness.report.options import Format

UNTOLD: Final = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",)}
"""What matplotlib would write into a file: when it was made, and by which version."""

LAYOUTS: Final = 3
"""After so many words, axes and legends have found their places."""

WIDTH_IN: Final = 6.4
HEIGHT_IN: Final = 3.9


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A figure as it was described, drawn and ready to be saved."""

    described: Described
    figure: Figure

    @property
    def name(self) -> str:
        """Its file name without suffix."""
        return self.described.id

    @property
    def title(self) -> str:
        """Its title."""
        return self.described.title

    @property
    def alt(self) -> str:
        """What it shows, in words."""
        return self.described.alt

    @property
    def notes(self) -> Sequence[str]:
        """Formulas and denominators, to stand below it."""
        return self.described.notes

    def __post_init__(self) -> None:
        """Lay the figure out, and keep to it: each layout begins with the last one, and would differ a little."""
        with styled():
            for _ in range(LAYOUTS):
                self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")

    def rendered(self, form: Format) -> bytes:
        """Return the picture."""
        stream = io.BytesIO()
        with styled():
            self.figure.savefig(
                stream, format=form, dpi=PNG_DPI, metadata={"Title": self.title, **dict.fromkeys(UNTOLD[form])}
            )
        return stream.getvalue()


def panel(width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes; call it, and draw, within `styled`."""
    figure = Figure(figsize=(width_in, height_in))
    return figure, figure.add_subplot()
