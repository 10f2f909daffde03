"""Figures of a passive run: classes, directions, failed clients, outages, ports and signs over time."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from liveness.analysis.numbers import count, percent
from liveness.report.figures.dates import date_axis
from liveness.report.figures.drawing import WIDTH_IN, Drawing, panel
from liveness.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    HATCHES,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    styled,
)
from liveness.report.passive.document import Document
from liveness.report.passive.drawing import COLOURS, SHORT_HEIGHT_IN, day_of, drawn, edges_of, squares
from liveness.report.passive.exporter_figures import exporters_figure
from liveness.report.passive.grey_map import grey_map
from liveness.report.passive.origin_figures import origins_figure
from liveness.report.passive.space import LocalSpace
from liveness.report.passive.tables import services_by_failures

DIRECTIONS: Final = {"two_way": BLUE, "one_way": RED, "one_way_out": ORANGE}
LINES: Final = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1, 1, 1)), (0, (8, 3)), (0, (3, 1, 1, 1, 1, 1)))
MOST_LINES: Final = 6
MOST_PORTS: Final = 20
MOST_OUTAGES: Final = 20


def passive_figures(document: Document, space: LocalSpace | None = None) -> list[Drawing]:
    """Return the figures of a report document, with a map of local `space`; none if there is no interval."""
    if not document["intervals"]:
        return []
    figures = [
        classes_figure(document, "flows"),
        classes_figure(document, "packets"),
        directions_figure(document),
        signs_figure(document),
    ]
    if any(interval["ports"] for interval in document["intervals"]):
        figures.append(ports_figure(document))
    if any(_peak(service) for service in document["services"]):
        figures.append(failures_figure(document))
    if document["outages"]:
        figures.append(outages_figure(document))
    if any(interval.get("exporters") for interval in document["intervals"]):
        figures.append(exporters_figure(document))
    figures += [origins_figure(document, name) for name, sources in document.get("sources", {}).items() if sources]
    drawn = None if space is None else grey_map(space)
    return figures if drawn is None else [*figures, drawn]


def _stacked(axes: Axes, edges: NDArray[np.float64], numbers: Mapping[str, NDArray[np.float64]]) -> None:
    """Draw numbers by interval as stacked areas, each class with its own colour and hatch."""
    base = np.zeros(len(edges) - 1)
    for place, (name, values) in enumerate(numbers.items()):
        axes.stairs(
            base + values, edges, baseline=base, fill=True, label=name, facecolor=COLOURS[name],
            hatch=HATCHES[place % len(HATCHES)], edgecolor="black", linewidth=0.2, gid=f"class:{name}",
        )  # fmt: skip
        base = base + values


def classes_figure(document: Document, what: str) -> Drawing:
    """Draw the classes of inbound one-way traffic by interval, absolute and as shares."""
    edges = edges_of(document)
    numbers = {
        name: np.array([interval["classes"][name][what] for interval in document["intervals"]], np.float64)
        for name in COLOURS
    }
    total = np.sum(list(numbers.values()), axis=0)
    shares = {name: values / np.maximum(total, 1) for name, values in numbers.items()}
    with styled():
        figure = Figure(figsize=(WIDTH_IN, 5.2))
        upper, lower = figure.subplots(2, 1, sharex=True)
        _stacked(upper, edges, numbers)
        _stacked(lower, edges, shares)
        upper.set_ylabel(f"{what} an interval")
        upper.set_ylim(bottom=0)
        lower.set_ylabel("share")
        lower.set_ylim(0, 1)
        lower.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=4, borderaxespad=0.3)
        date_axis(lower, edges)
    sums = {name: int(values.sum()) for name, values in numbers.items()}
    everything = sum(sums.values())
    largest = sorted(sums, key=lambda name: -sums[name])[:3]
    described = ", ".join(f"{name} {percent(sums[name] / everything if everything else None)}" for name in largest)
    return drawn(
        name=f"classes-{what}",
        title=f"Classes of inbound one-way {what} over time",
        alt=f"Stacked areas over {len(edges) - 1} intervals, {count(everything)} {what} in all: {described}.",
        notes=[f"Inbound one-way {what} by class, by interval; below, their shares."],
        figure=figure,
    )


def directions_figure(document: Document) -> Drawing:
    """Draw two-way and one-way flows by interval."""
    edges = edges_of(document)
    with styled():
        figure, axes = panel(height_in=SHORT_HEIGHT_IN)
        for place, (name, colour) in enumerate(DIRECTIONS.items()):
            values = [interval[name]["flows"] for interval in document["intervals"]]
            axes.stairs(
                values, edges, baseline=None, color=colour, linestyle=LINES[place], linewidth=1.6,
                label=name.replace("_", " "), gid=f"line:{name}",
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_ylabel("flows an interval")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=3, borderaxespad=0.3)
        date_axis(axes, edges)
    totals = document["totals"]
    return drawn(
        name="directions",
        title="Two-way and one-way flows over time",
        alt=f"Lines: {count(totals['two_way']['flows'])} two-way flows, {count(totals['one_way']['flows'])} one-way"
        f" inbound, {count(totals['one_way_out']['flows'])} one-way outbound.",
        notes=["A key counts once an interval."],
        figure=figure,
    )


def signs_figure(document: Document) -> Drawing:
    """Draw the share of inbound one-way flows with each sign."""
    signs = document["totals"]["signs"]
    flows = document["totals"]["one_way"]["flows"]
    names = list(signs)[::-1]
    with styled():
        figure, axes = panel(height_in=3.4)
        axes.barh(names, [signs[name] / max(flows, 1) for name in names], color=SKY, edgecolor="black", linewidth=0.4)
        axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
        axes.set_xlim(0, 1)
        axes.set_xlabel("of inbound one-way flows")
        axes.grid(visible=False, axis="y")
    most = max(signs, key=lambda name: signs[name])
    return drawn(
        name="signs",
        title="Signs of inbound one-way flows",
        alt=f"Bars: of {count(flows)} flows most show {most} ({percent(signs[most] / flows if flows else None)}).",
        notes=["A flow shows several signs, so that shares add up to more than all."],
        figure=figure,
    )


def ports_figure(document: Document) -> Drawing:
    """Draw the local ports of most inbound one-way flows, by interval."""
    ports = squares(document, "ports", MOST_PORTS, "flows an interval")
    return drawn(
        name="ports",
        title="Local ports of inbound one-way flows over time",
        alt=f"A square for each of {len(ports.names)} ports and {ports.intervals} intervals; most flows go to "
        + ", ".join(f"{port} ({count(ports.sums[port])})" for port in ports.names[:3])
        + ".",
        notes=["Each interval counts its twenty commonest ports; the scale of colours is logarithmic."],
        figure=ports.figure,
    )


def _peak(service: Mapping[str, Any]) -> int:
    """Return the number of clients that failed in the worst interval of a service."""
    return max((int(interval["clients_failed"]) for interval in service["intervals"]), default=0)


def failures_figure(document: Document) -> Drawing:
    """Draw failed clients by interval, for the services with the most failed clients in one interval."""
    edges = edges_of(document)
    starts = [interval["start"] for interval in document["intervals"]]
    chosen = [service for service in services_by_failures(document) if _peak(service)]
    chosen = sorted(chosen, key=lambda service: -_peak(service))[:MOST_LINES]
    colours: Sequence[Any] = (RED, BLUE, GREEN, ORANGE, PURPLE, GREY)
    with styled():
        figure, axes = panel()
        for place, service in enumerate(chosen):
            failed = {interval["start"]: interval["clients_failed"] for interval in service["intervals"]}
            axes.stairs(
                [failed.get(start, 0) for start in starts], edges, baseline=None, color=colours[place],
                linestyle=LINES[place], linewidth=1.6, label=service["service"],
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_ylabel("failed clients an interval")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=2, borderaxespad=0.3)
        date_axis(axes, edges)
    worst = chosen[0]
    return drawn(
        name="failed-clients",
        title="Failed clients of services over time",
        alt=f"Lines of {len(chosen)} services; {worst['service']} failed for most in an interval,"
        f" {count(_peak(worst))} clients.",
        notes=["Distinct remotes that failed in the interval and succeeded neither in it nor in a neighbour."],
        figure=figure,
    )


def outages_figure(document: Document) -> Drawing:
    """Draw the outages that affected most clients as bars in time."""
    edges = edges_of(document)
    outages = sorted(document["outages"], key=lambda outage: -outage["clients"])[:MOST_OUTAGES]
    outages.sort(key=lambda outage: str(outage["start"]))
    with styled():
        figure, axes = panel(height_in=max(1.6, 0.28 * len(outages) + 0.9))
        for place, outage in enumerate(outages):
            start, end = day_of(outage["start"]), day_of(outage["end"])
            axes.barh(place, end - start, left=start, color=RED, edgecolor="black", linewidth=0.4, height=0.6)
            axes.annotate(
                f" {count(outage['clients'])} clients", (end, place), va="center", fontsize=8.0, annotation_clip=False
            )
        names = [
            outage["services"][0] + (f" +{len(outage['services']) - 1}" if len(outage["services"]) > 1 else "")
            for outage in outages
        ]
        axes.set_yticks(range(len(outages)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        date_axis(axes, edges)
    worst = max(outages, key=lambda outage: outage["clients"])
    return drawn(
        name="outages",
        title="Outages in time",
        alt=f"{len(outages)} outages as bars; the largest hit {count(worst['clients'])} clients from {worst['start']}.",
        notes=["Clients: distinct remotes that failed in the outage, over all its services."],
        figure=figure,
    )
