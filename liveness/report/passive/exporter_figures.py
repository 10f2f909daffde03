"""Figure of exporters: their records over time, and so their silence."""

from typing import Final

from liveness.analysis.numbers import count
from liveness.report.figures.drawing import Drawing
from liveness.report.passive.document import Document
from liveness.report.passive.drawing import drawn, squares

MOST_EXPORTERS: Final = 20


def exporters_figure(document: Document) -> Drawing:
    """Draw the records of the exporters with most of them, by interval."""
    found = squares(document, "exporters", MOST_EXPORTERS, "records an interval")
    silent = sum(1 for each in document.get("exporters", ()) if each.get("silent_intervals"))
    return drawn(
        name="exporters",
        title="Records of exporters over time",
        alt=f"A square for each of {len(found.names)} exporters and {found.intervals} intervals; most records are of "
        + ", ".join(f"{name} ({count(found.sums[name])})" for name in found.names[:3])
        + f". {count(silent)} exporters were silent for an interval or longer.",
        notes=[
            "Records that pass the gates, copies included. Pale: no record.",
            "Each interval counts its twenty exporters with most records; the scale of colours is logarithmic.",
        ],
        figure=found.figure,
    )
