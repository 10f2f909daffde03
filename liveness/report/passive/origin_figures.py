"""Figure of origins of remotes: countries or autonomous systems, by class."""

from typing import Final

import numpy as np

from liveness.analysis.numbers import count
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import HATCHES, drawable, styled
from liveness.report.passive.document import UNKNOWN, Document
from liveness.report.passive.drawing import COLOURS, SHORT_HEIGHT_IN, drawn

MOST_ORIGINS: Final = 15


def origins_figure(document: Document, name: str) -> Drawing:
    """Draw the countries or autonomous systems of most inbound one-way flows, by class."""
    sources = document["sources"][name][:MOST_ORIGINS]
    names = [each["origin"] or UNKNOWN for each in sources]
    with styled():
        figure, axes = panel(height_in=max(SHORT_HEIGHT_IN, 0.24 * len(sources) + 1.2))
        base = np.zeros(len(sources))
        for place, kind in enumerate(COLOURS):
            values = np.array([each["classes"].get(kind, 0) for each in sources], np.float64)
            axes.barh(
                range(len(sources)), values, left=base, label=kind, facecolor=COLOURS[kind],
                hatch=HATCHES[place % len(HATCHES)], edgecolor="black", linewidth=0.2,
            )  # fmt: skip
            base = base + values
        axes.set_yticks(range(len(sources)), [drawable(text) for text in names])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("inbound one-way flows")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=4, borderaxespad=0.3)
    what = "countries" if name == "country" else "autonomous systems"
    return drawn(
        name=f"sources-{name}",
        title=f"Inbound one-way flows by {name}",
        alt=f"Bars of the {len(sources)} {what} with most flows: "
        + ", ".join(f"{names[at]} {count(sources[at]['flows'])}" for at in range(min(3, len(names))))
        + ".",
        notes=[f"The {what} of remote addresses by the config's data on prefixes, and the classes of their flows."],
        figure=figure,
    )
