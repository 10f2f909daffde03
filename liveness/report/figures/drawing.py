"""A drawn figure: name, title, description, and a picture as SVG or PNG that is reproducible byte by byte."""

import io
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
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
class Shown:
    """A described figure that can be had as a picture."""

    described: Described

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

    @abstractmethod
    def rendered(self, form: Format) -> bytes:
        """Return the picture in a format."""


@dataclass(frozen=True, slots=True, eq=False)
class Saved(Shown):
    """A figure saved in some formats: a file and a page show the same bytes, and nothing is drawn twice."""

    pictures: Mapping[Format, bytes]

    def rendered(self, form: Format) -> bytes:
        """Return the picture in a format in which it was saved."""
        return self.pictures[form]


@dataclass(frozen=True, slots=True, eq=False)
class Drawing(Shown):
    """A described figure, drawn and ready to be saved."""

    figure: Figure

    def __post_init__(self) -> None:
        """Compute the layout and fix it: each further pass would begin with the last one and change it a little."""
        with styled():
            self.figure.draw_without_rendering()
            layout = self.figure.get_layout_engine()
            if layout is not None:
                for _ in range(LAYOUTS - 1):  # without drawing, which takes longer and moves nothing any more
                    layout.execute(self.figure)
            self.figure.set_layout_engine("none")

    def rendered(self, form: Format) -> bytes:
        """Return the picture in a format."""
        stream = io.BytesIO()
        with styled(), self._without_layout(form):
            self.figure.savefig(
                stream,
                format=form,
                dpi=PNG_DPI,
                metadata={"Title": drawable(self.title), **dict.fromkeys(REPRODUCIBLY_OMITTED[form])},
            )
        return stream.getvalue()

    def saved(self, formats: Iterable[Format]) -> Saved:
        """Return the figure saved in each format, without the memory that drawing it takes."""
        return Saved(self.described, {form: self.rendered(form) for form in formats})

    @contextmanager
    def _without_layout(self, form: Format) -> Iterator[None]:
        """Save an SVG without the layout pass that matplotlib makes before: it would change nothing.

        A PNG needs that pass, because text is measured in its pixels.
        """
        fixed = self.figure.get_layout_engine()
        if form == "svg":
            with mpl.rc_context({"figure.constrained_layout.use": False}):
                self.figure.set_layout_engine(None)
        try:
            yield
        finally:
            self.figure.set_layout_engine(fixed)


def panel(width_in: float = WIDTH_IN, height_in: float = HEIGHT_IN) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes; call this function and draw within `styled`."""
    figure = Figure(figsize=(width_in, height_in))
    return figure, figure.add_subplot()
