"""The run over time: rates sent, received and accepted, and below them packets dropped."""

from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liveness.analysis.figures import Timeline
from liveness.report.figures.drawing import WIDTH_IN
from liveness.report.figures.style import BLUE, GREEN, ORANGE, RED

PREFIXES: Final = ((1e6, "M"), (1e3, "k"))
MINUTES_FROM_S: Final = 600
HOURS_FROM_S: Final = 3 * 3600
RATES: Final[dict[str, dict[str, Any]]] = {
    "sent": {"color": BLUE, "linewidth": 3.2, "linestyle": "-"},
    "past the filter": {"color": ORANGE, "linewidth": 2.2, "linestyle": (0, (5, 3))},
    "accepted": {"color": GREEN, "linewidth": 1.3, "linestyle": (0, (1, 2))},
}
"""Each line is narrower than those below it and has gaps, so that lines that coincide are all visible."""
LOSSES: Final[dict[str, dict[str, Any]]] = {
    "dropped by the kernel": {"color": RED, "linewidth": 2.6, "linestyle": "-"},
    "dropped by the interface": {"color": BLUE, "linewidth": 1.3, "linestyle": (0, (3, 2))},
}


def draw_timeline(content: Timeline) -> Figure:
    """Draw packets sent, received, accepted and dropped per second, by interval."""
    manifest = content.manifest
    line = manifest.timeline
    ends = np.array(line.end_s)
    lengths = np.diff(ends, prepend=0.0)
    lengths[lengths <= 0] = np.nan  # two intervals with the same end have no rate
    unit, name = _time_unit(float(ends[-1]))
    edges = np.concatenate([[0.0], ends]) / unit

    figure = Figure(figsize=(WIDTH_IN, 4.2))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.2))
    counted = {"sent": line.sent, "past the filter": line.packets, "accepted": line.accepted}
    for (label, style), numbers in zip(RATES.items(), counted.values(), strict=True):
        upper.stairs(_rates(numbers, lengths), edges, label=label, baseline=None, gid=f"line:{label}", **style)
    upper.set_ylim(bottom=0)
    upper.set_ylabel("packets a second")
    for change in manifest.rate_changes:
        upper.axvline(change.after_s / unit, color="black", linestyle=":", linewidth=1.0)
    upper.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=3, borderaxespad=0.3)
    for (label, style), numbers in zip(LOSSES.items(), (line.kernel_drops, line.nic_drops), strict=True):
        lower.stairs(_rates(numbers, lengths), edges, label=label, fill=False, gid=f"line:{label}", **style)
    lower.set_ylim(bottom=0)
    if not any(line.kernel_drops) and not any(line.nic_drops):
        lower.set_ylim(0, 1)
        lower.set_yticks([0])
        lower.text(0.5, 0.5, "nothing was dropped", ha="center", va="center", transform=lower.transAxes)
    lower.set_ylabel("dropped a second")
    lower.set_xlabel(f"{name} since the start")
    lower.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=2, borderaxespad=0.3)
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    figure.align_ylabels()
    return figure


def _rates(numbers: list[int], lengths_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return packets per second by interval."""
    rates: NDArray[np.float64] = np.array(numbers, np.float64) / lengths_s
    return rates


def _time_unit(duration_s: float) -> tuple[float, str]:
    """Return the best unit for a duration as its length in seconds, and its name."""
    if duration_s >= HOURS_FROM_S:
        return 3600.0, "hours"
    return (60.0, "minutes") if duration_s >= MINUTES_FROM_S else (1.0, "seconds")


def _short(number: float) -> str:
    """Return a rate with k or M."""
    for size, prefix in PREFIXES:
        if abs(number) >= size:
            return f"{number / size:g}{prefix}"
    return f"{number:g}"
