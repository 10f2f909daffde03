"""Figures of availability: density of (A, U), distributions of A, U, up periods and occupancy, and A over time."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.figures import Colour, Figure
from liveness.analysis.numbers import count, percent, seconds
from liveness.analysis.survey.delays import PERCENTILES, DelayTable
from liveness.analysis.survey.figures.contents import Activity, Curve, Curves, Density, Mark, Rounds, figure_id
from liveness.analysis.survey.fit import daily_fit
from liveness.analysis.survey.gathered import SHARE_BINS, ProbeGathered
from liveness.analysis.survey.lengths import survival
from liveness.analysis.survey.occupancy import DENSE_ABOVE, SPARSE_BELOW
from liveness.analysis.survey.results import ProbeResult, SurveyResults
from liveness.analysis.survey.sequences import ALL, BEGUN_EARLY, ENDED, PLAIN, REPAIRED, RUNNING
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.reference import padmanabhan_2015
from liveness.reference.heidemann_2008 import LABEL, PUBLISHED

OFTEN: Final = 0.95
EDGE: Final = 0.05
HALF: Final = 0.5


def availability_figures(results: SurveyResults, probe: ProbeResult, gathered: ProbeGathered) -> Iterator[Figure]:
    """Yield the figures of one probe; none without an address that ever answered."""
    if probe.readings[PLAIN].ever == 0:
        return
    yield _density(probe, gathered)
    yield _shares(probe, gathered)
    if probe.readings[PLAIN].up_periods:
        yield _up_periods(probe, results.timing.interval_s)
    if probe.delays is not None:
        yield _delays(probe, probe.delays)
    yield _occupancy(probe)
    yield _over_time(results, probe, gathered)


def rounds_of(results: SurveyResults) -> Rounds:
    """Return the times of a survey's rounds."""
    return Rounds(results.timing.start_ns, results.timing.interval_s, results.manifest.rounds)


def _density(probe: ProbeResult, gathered: ProbeGathered) -> Figure:
    reading, counts = probe.readings[PLAIN], gathered.density
    size = len(counts)
    edge = round(EDGE * size)
    rare, stable = int(counts[:edge, :edge].sum()), int(counts[-edge:, -edge:].sum())
    whole = int(counts.sum())
    return Figure(
        figure_id("density", probe.probe),
        f"Density of availability and up time, {probe.probe}",
        f"Squares on a plane of A and U, darker where fewer of {count(reading.ever)} addresses are;"
        f" {percent(rare / whole)} have both below {percent(EDGE, 0)}, {percent(stable / whole)} both above"
        f" {percent(OFTEN, 0)}.",
        [
            "A: positive rounds / rounds sent. U: A / number of up periods, so that U is at most A.",
            "Addresses that ever answered, plain reading, in squares of 0.01; the scale of colours is logarithmic.",
        ],
        Density(counts, "A, availability", "U, mean up period / survey", "addresses"),
        "availability",
    )


def _shares(probe: ProbeResult, gathered: ProbeGathered) -> Figure:
    values = [0.0, *((np.arange(SHARE_BINS) + 1) / SHARE_BINS).tolist()]
    curves = []
    names: tuple[tuple[str, int, int, Colour], ...] = (
        ("A", PLAIN, 0, "blue"),
        ("A, repaired", REPAIRED, 0, "sky"),
        ("U", PLAIN, 1, "red"),
        ("U, repaired", REPAIRED, 1, "orange"),
    )
    for name, reading, place, colour in names:
        counts = gathered.shares[reading, place]
        shares = [0.0, *(np.cumsum(counts) / counts.sum()).tolist()]
        curves.append(Curve(name, values, shares, colour, dashed=reading == REPAIRED))
    medians = [_value_at(curve, HALF) for curve in curves]
    return Figure(
        figure_id("availability", probe.probe),
        f"Distribution of availability and up time, {probe.probe}",
        f"Cumulative distributions over {count(probe.readings[PLAIN].ever)} addresses: the median of A is"
        f" {medians[0]:.3g} ({medians[1]:.3g} repaired), that of U {medians[2]:.3g} ({medians[3]:.3g}).",
        ["Addresses that ever answered, with A or U up to the value; curves are exact to a thousandth."],
        Curves(curves, (), "", "A or U", "share of addresses"),
        "availability",
    )


def _up_periods(probe: ProbeResult, interval_s: float) -> Figure:
    lengths = probe.lengths[PLAIN]
    curves = [_lengths_curve("all", lengths[ALL], interval_s, "blue")]
    if lengths[ENDED].any():
        ended = 1 - survival(lengths[ENDED], lengths[RUNNING])
        rises = np.flatnonzero(np.diff(ended, prepend=0.0) > 0)
        curves.append(Curve("Kaplan-Meier", (rises * interval_s).tolist(), ended[rises].tolist(), "green"))
    if lengths[BEGUN_EARLY].any():
        curves.append(_lengths_curve("censored", lengths[BEGUN_EARLY], interval_s, "orange", dashed=True))
    published = PUBLISHED["median_up_s"]
    reading = probe.readings[PLAIN]
    return Figure(
        figure_id("up-periods", probe.probe),
        f"Lengths of up periods, {probe.probe}",
        f"Cumulative distributions of {count(reading.up_periods)} up periods: median {seconds(reading.median_up_s)},"
        f" censored {seconds(reading.median_up_censored_s)}, Kaplan-Meier"
        f" {seconds(reading.median_up_kaplan_meier_s)}; published {published.words}.",
        [
            "Over up periods, not addresses, plain reading.",
            "censored: periods that begin in the first half of the survey, not with its first round.",
            "Kaplan-Meier: periods whose beginning was seen; those that the end cuts off are at risk until then.",
            f"{published.words}: median of {published.of}, which are not very stable ({LABEL}, {published.where}).",
        ],
        Curves(
            curves, [Mark(published.value, HALF)], LABEL, "length of an up period",
            "share of up periods", durations=True,
        ),
        "availability",
    )  # fmt: skip


def _lengths_curve(
    name: str, histogram: NDArray[np.int64], interval_s: float, colour: Colour, *, dashed: bool = False
) -> Curve:
    """Return the distribution of the lengths that a histogram counts."""
    known = np.flatnonzero(histogram)
    shares = np.cumsum(histogram[known]) / histogram.sum()
    return Curve(name, (known * interval_s).tolist(), shares.tolist(), colour, dashed=dashed)


def _occupancy(probe: ProbeResult) -> Figure:
    at_a_time, ever = probe.occupied(ever=False), probe.occupied(ever=True)
    responding = ever > 0
    shares = {
        "active at a time": np.sort(at_a_time[responding]) / BLOCK_ADDRESSES,
        "ever active": np.sort(ever[responding]) / BLOCK_ADDRESSES,
    }
    colours: dict[str, Colour] = {"active at a time": "blue", "ever active": "orange"}
    places = (np.arange(responding.sum()) + 1) / responding.sum()
    curves = [
        Curve(name, [0.0, *values.tolist()], [0.0, *places.tolist()], colours[name], dashed=name == "ever active")
        for name, values in shares.items()
    ]
    few, half = PUBLISHED["occupancy.sparse"], PUBLISHED["occupancy.dense"]
    ours = shares["active at a time"]
    below, above = float((ours < SPARSE_BELOW).mean()), float((ours > DENSE_ABOVE).mean())
    return Figure(
        figure_id("occupancy", probe.probe),
        f"Occupancy of /24s, {probe.probe}",
        f"Cumulative distributions over {count(len(ours))} responding /24s: {percent(below)} are less than"
        f" {percent(SPARSE_BELOW, 0)} full at a time (published: {few.words}), {percent(above)} more than half"
        f" (published: {half.words}).",
        [
            "active at a time: sum of A of the addresses / 256. ever active: addresses that ever answered / 256.",
            f"{LABEL}: {few.words} of {few.of} are under 5% full, {half.words} over half full.",
            "The /24s of a survey are chosen by its policies, and count alike here, without weights.",
        ],
        Curves(
            curves,
            [Mark(SPARSE_BELOW, few.value), Mark(DENSE_ABOVE, 1 - half.value)],
            LABEL, "share of the /24 that is active", "share of responding /24s",
        ),
        "survey_published",
    )  # fmt: skip


def _delays(probe: ProbeResult, delays: DelayTable) -> Figure:
    shares = [share / 100 for share in PERCENTILES]
    colours: dict[int, Colour] = {50: "blue", 90: "green", 95: "orange", 99: "red"}
    rows = {share: delays.timeout_s[PERCENTILES.index(share)].tolist() for share in colours}
    published = dict(zip(padmanabhan_2015.PERCENTILES, padmanabhan_2015.TIMEOUT_S, strict=True))
    return Figure(
        figure_id("delays", probe.probe),
        f"Timeouts that catch a share of the replies, {probe.probe}",
        f"Lines of the timeout that catches a share of the replies of {count(delays.addresses)} addresses: for 95% of"
        f" them, {seconds(rows[95][PERCENTILES.index(95)])} catches 95% of their replies (published: 5 s).",
        [
            "Each line: the timeout that catches the share of the replies of so many of the addresses.",
            f"Diamonds: the same of {padmanabhan_2015.LABEL}, from surveys of ISI.",
        ],
        Curves(
            [
                Curve(f"{share}% of addresses", rows[share], shares, colour, dashed=share != max(colours))
                for share, colour in colours.items()
            ],
            [
                Mark(timeout, part)
                for share in colours
                for timeout, part in zip(published[share], shares, strict=True)
            ],
            padmanabhan_2015.LABEL, "timeout", "share of their replies", durations=True,
        ),
        "delays",
    )  # fmt: skip


def _over_time(results: SurveyResults, probe: ProbeResult, gathered: ProbeGathered) -> Figure:
    probed = gathered.probed
    shares = np.where(probed > 0, gathered.active / np.maximum(probed, 1), np.nan)
    timing = results.timing
    fit = daily_fit(shares, timing.interval_s, timing.start_ns / 1e9)
    known = shares[probed > 0]
    wave = (
        "the survey is too short for a daily wave"
        if fit is None
        else f"the daily wave has an amplitude of {percent(fit.amplitude)} and peaks at {hour(fit.peak_hour_utc)} UTC"
    )
    return Figure(
        figure_id("over-time", probe.probe),
        f"Availability over time, {probe.probe}",
        f"Line of the share of addresses that answer in each of {count(len(known))} rounds, {percent(known.min())} to"
        f" {percent(known.max())}; {wave}.",
        [
            "Addresses that answered / addresses that were sent a probe, of those that ever answered in the survey.",
            "Fit: level, linear trend, one to four cycles a day, by least squares over all rounds; three days or more.",
        ],
        Activity(rounds_of(results), shares, None if fit is None else fit.fitted, "share of ever-responsive active"),
        "daily_cycles",
    )


def hour(at: float) -> str:
    """Return an hour of the day as hours and minutes."""
    minutes = round(at * 60) % (24 * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _value_at(curve: Curve, share: float) -> float:
    """Return the smallest value of a curve with at least this share."""
    return float(curve.values[int(np.searchsorted(curve.shares, share))])
