"""Figures as data: content, numbers and texts; `liveness.report.figures` draws each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from liveness.reference.published import Published
from liveness.runs.manifest import Manifest

Colour = Literal["blue", "sky", "green", "yellow", "orange", "red", "purple"]
Marker = Literal["D", "^"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of every bar, from the bottom up; `shares` has one entry per bar, None if its denominator is 0."""

    name: str
    colour: Colour
    shares: Sequence[float | None]
    dark: bool = False
    """Whether the number on it is written in white."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Published values on bars, by the index of the bar."""

    name: str
    shares: Mapping[int, float]
    marker: Marker = "D"


@dataclass(frozen=True, slots=True)
class Bars:
    """Stacked bars of shares, with a second bar next to each if `side` is given."""

    bars: Sequence[str]
    parts: Sequence[Part]
    x_label: str
    y_label: str
    marks: Sequence[Marks] = ()
    side: Part | None = None
    top: float | None = 1.04
    """The upper end of the axis; None: above all bars and `at_least`."""
    at_least: float = 0.0
    legend_columns: int = 0


@dataclass(frozen=True, slots=True)
class Layers:
    """A funnel: a bar for each layer whose width is its share, with numbers to its right."""

    layers: Sequence[str]
    ids: Sequence[str]
    shares: Sequence[float | None]
    columns: Mapping[str, Sequence[str]]
    x_label: str
    published: Mapping[int, float]
    published_name: str


@dataclass(frozen=True, slots=True)
class Funnels:
    """A funnel for each group: bars side by side, one for each stage, that get shorter from stage to stage."""

    groups: Sequence[str]
    stages: Mapping[str, Sequence[float | None]]
    """Shares by stage, one for each group."""
    published: Mapping[str, Mapping[int, float]]
    """Published shares by stage and by the index of the group."""
    published_name: str
    x_label: str
    y_label: str


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A square matrix of shares, with published values in parentheses."""

    labels: Sequence[str]
    values: Sequence[Sequence[float | None]]
    published: Mapping[tuple[int, int], Published]
    x_label: str
    y_label: str
    scale_label: str


@dataclass(frozen=True, slots=True)
class UpSet:
    """The largest exclusive patterns, each a bar over a column of dots."""

    members: Sequence[str]
    patterns: Sequence[tuple[str, int]]
    """The largest patterns, one digit per member, with their sizes."""
    sizes: Sequence[int]
    """Size of each member over all patterns."""
    whole: int
    caption: str


@dataclass(frozen=True, slots=True)
class Cumulative:
    """The cumulative distribution of durations, which are ascending."""

    durations_s: Sequence[float]
    x_label: str
    y_label: str
    published: Mapping[float, float]
    """Shares by duration."""
    published_name: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rates and losses of a run over time, from its manifest."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Turnovers:
    """Born, died and stayed from run to run, by population: one bar per change."""

    runs: Sequence[str]
    populations: Mapping[str, Sequence[tuple[int, int, int]]]


@dataclass(frozen=True, slots=True)
class Survival:
    """Curves of shares over days; the first is emphasised."""

    curves: Sequence["SurvivalCurve"]
    y_label: str


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """One run's shares, each `days` later."""

    days: Sequence[float]
    shares: Sequence[float | None]
    throughout: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class GainCurve:
    """Shares that subsets of one, two, ... members cover: the mean, the least and the most."""

    name: str
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class GainCurves:
    """Gain curves over the number of members, and published ranges by this number."""

    curves: Sequence[GainCurve]
    x_label: str
    y_label: str
    published: Mapping[int, tuple[float, float | None]]
    published_name: str


@dataclass(frozen=True, slots=True)
class RelativeRates:
    """Hit rates of several vantage points along one order, relative to what the others make expect, and bursts."""

    edges: Sequence[float]
    """The ends of the intervals, as shares of the order."""
    rates: Mapping[str, Sequence[float | None]]
    bursts: Sequence[tuple[str, float, float]]
    """The vantage point, empty if all of them, and the stretch of the order."""
    x_label: str
    y_label: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `id` is its file name without suffix."""

    id: str
    title: str
    alt: str
    """A description of the picture for readers who cannot see it: one or two sentences with its main numbers."""
    notes: Sequence[str]
    """Formulas and denominators, shown below the figure."""
    content: object
    """What is drawn: one of the kinds of content that `liveness.report.figures.drawers` has a drawer for.

    None for a figure that is drawn without one.
    """
    table: str = ""
    """The id of the table next to which it is shown."""
