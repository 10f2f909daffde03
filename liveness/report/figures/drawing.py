"""A drawn figure: name, title, description, and a picture as SVG or PNG that is reproducible byte by byte."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liveness.analysis.figures import Figure as Described
from liveness.report.figures.style import PNG_DPI, drawable, styled
from liveness.report.options import Format

REPRODUCIBLY_OMITTED: Final = {"svg": ("Date", "Creator", "Format", "Type"), "png": ("Software",)}
"""Metadata that matplotlib would write into a file and that varies: date and version."""

LAYOUTS: Final = 3
"""Layout passes after which positions of axes and legends no longer change."""

WIDTH_IN: Final = 6.4
HEIGHT_IN: Final = 3.9


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A described figure, drawn and ready to be saved."""

    described: Described
    figure: Figure

    @property
    def name(self) -> str:
        """The file name without suffix."""
        return self.described.id

    @property
    def title(self) -> str:
        """The title."""
        return self.described.title

    @property
    def alt(self) -> str:
        """A description of the picture in words."""
        return self.described.alt

    @property
    def notes(self) -> Sequence[str]:
        """Formulas and denominators, shown below the figure."""
        return self.described.notes

    def __post_init__(self) -> None:
        """Compute the layout and fix it: each further pass would begin with the last one and change it a little."""
        with styled():
            for _ in range(LAYOUTS):
                self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")

    def rendered(self, form: Format) -> bytes:
        """Return the picture in a format."""
        stream = io.BytesIO()
        with styled():
            self.figure.savefig(
                stream,
                format=form,
                dpi=PNG_DPI,
                metadata={"Title": drawable(self.title), **dict.fromkeys(REPRODUCIBLY_OMITTED[form])},
            )
        return stream.getvalue()


def panel(width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes; call this function and draw within `styled`."""
    figure = Figure(figsize=(width_in, height_in))
    return figure, figure.add_subplot()
