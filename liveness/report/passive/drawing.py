"""What figures of a passive run share: intervals as an axis, numbers by name and interval, captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liveness.analysis.figures import Figure as Described
from liveness.analysis.figures import Survival
from liveness.report.figures.dates import date_axis
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    RED,
    SEQUENTIAL,
    SKY,
    YELLOW,
    drawable,
    styled,
)
from liveness.report.passive.document import Document

COLOURS: Final = {
    "MalScan": RED, "OtherMal": PURPLE, "Backscatter": SKY, "SrvUnreach": BLUE, "BenignP2P": GREEN,
    "SuspBenign": YELLOW, "Bogon": ORANGE, "Other": GREY,
}  # fmt: skip
SHORT_HEIGHT_IN: Final = 2.6


def drawn(name: str, title: str, alt: str, notes: Sequence[str], figure: Figure) -> Drawing:
    """Return a figure that is drawn already and needs no content for a drawer."""
    tables = {"classes-flows": "classes", "failed-clients": "services"}
    table = tables.get(name, name.replace("-", "_") if name.startswith("sources-") else name)
    return Drawing(Described(name, title, alt, notes, Survival((), ""), table), figure)


def edges_of(document: Document) -> NDArray[np.float64]:
    """Return the starts of intervals and the end of the last one, in matplotlib's days."""
    length = document["interval_s"] / 86_400
    starts = [day_of(interval["start"]) for interval in document["intervals"]]
    return np.array([*starts, starts[-1] + length])


def day_of(text: str) -> float:
    """Return a time in matplotlib's days."""
    return float(date2num(datetime.fromisoformat(text)))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Squares:
    """A square for each name and interval."""

    figure: Figure
    names: list[str]
    """Those with the largest sums."""
    sums: dict[str, int]
    intervals: int


def squares(document: Document, key: str, most: int, label: str) -> Squares:
    """Draw numbers that intervals have by name under a key, of the names with the largest sums; nothing is pale."""
    edges = edges_of(document)
    sums: dict[str, int] = {}
    for interval in document["intervals"]:
        for name, number in interval.get(key, {}).items():
            sums[name] = sums.get(name, 0) + number
    names = sorted(sums, key=lambda name: (-sums[name], name))[:most]
    values = np.array([[interval.get(key, {}).get(name, 0) for interval in document["intervals"]] for name in names])
    with styled():
        figure, axes = panel(height_in=max(SHORT_HEIGHT_IN, 0.2 * len(names) + 0.9))
        image = axes.pcolormesh(
            edges, np.arange(len(names) + 1), np.ma.masked_equal(values, 0),
            cmap=mpl.colormaps[SEQUENTIAL].with_extremes(bad=PALE),
            norm=mpl.colors.LogNorm(1, max(2, int(values.max()))), rasterized=True,
        )  # fmt: skip
        axes.set_yticks(np.arange(len(names)) + 0.5, [drawable(name) for name in names])
        axes.invert_yaxis()
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes, label=label, format=lambda value, _: f"{value:g}")
        date_axis(axes, edges)
    return Squares(figure, names, sums, len(edges) - 1)
