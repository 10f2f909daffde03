"""Tables of a survey: probes sent, availability in both readings, estimates, outages and daily cycles."""

from collections.abc import Iterator, Sequence
from typing import Final

from liveness.analysis import tables
from liveness.analysis.numbers import ABSENT, count, seconds
from liveness.analysis.survey.document import round_time
from liveness.analysis.survey.estimates import Estimate
from liveness.analysis.survey.outages import Outage
from liveness.analysis.survey.results import ProbeResult, ReadingResult, SurveyResults
from liveness.analysis.survey.sequences import PLAIN, REPAIRED
from liveness.analysis.tables import Between, Cell, Column, Share, Table, Worded
from liveness.report.views.survey_changes import change_tables, published_table

ESTIMATES: Final = {
    "responding_blocks": "responding /24s",
    "ever_responsive": "addresses that ever respond",
    "active_at_a_time": "addresses active at a time",
    "A": "A",
    "U": "U",
    "N_U": "N_U",
    "stable": "share of stable addresses",
    "down": "share of /24s down at a time",
    "sparse_blocks": "share of /24s under 5% full",
    "dense_blocks": "share of /24s over half full",
}


COUNTS: Final = ("sent", "not_sent", "withdrawn", "positive", "negative", "late")

WHOLE_ABOVE: Final = 1000


def survey_tables(results: SurveyResults, top: int) -> Iterator[Table]:
    """Yield the tables of a survey; tables of outages have `top` rows."""
    yield _sent(results)
    yield _availability(results)
    yield _estimates(results)
    yield published_table(results)
    yield _diurnal(results)
    yield from change_tables(results, top)
    for name, title, choose in (
        ("outages", "Full outages", _full),
        ("outages_trinocular", "Outages by Trinocular", _trinocular),
    ):
        found = [(probe.probe, outage) for probe in results.probes for outage in choose(probe)]
        yield _outages(results, name, title, found, top)


def _sent(results: SurveyResults) -> Table:
    columns = [Column("probe"), *(Column(name.replace("_", " "), "rounds of addresses") for name in COUNTS)]
    rows = [(probe.probe, *(getattr(probe.counts, name) for name in COUNTS)) for probe in results.probes]
    manifest = results.manifest
    return Table(
        "sent",
        f"{manifest.run}: {count(manifest.blocks)} /24s, {count(manifest.rounds)} rounds of {manifest.interval_s:g} s",
        columns,
        rows,
        ["All are pairs of address and round. late: a reply more than an interval after its probe; A ignores it."],
    )


def _availability(results: SurveyResults) -> Table:
    names = {PLAIN: "plain", REPAIRED: "repaired"}
    rows = [
        (probe.probe, name, *_cells(probe.readings[reading]))
        for probe in results.probes
        for reading, name in names.items()
    ]
    return Table(
        "availability",
        "Availability",
        (
            Column("probe"),
            Column("reading"),
            Column("ever", "addresses"),
            Column("A", "share", "rounds sent"),
            Column("U", "share", "the survey"),
            Column("N_U", "up periods an address"),
            Column("up periods", "up periods"),
            Column("median up", "seconds"),
            Column("censored", "seconds", key="median up, censored"),
            Column("Kaplan-Meier", "seconds", key="median up, Kaplan-Meier"),
        ),
        rows,
        [
            "A: positive rounds / rounds sent, mean over addresses that were ever positive (ever).",
            "N_U: number of up periods, maximal runs of positive rounds. U: A / N_U.",
            "repaired: each single silent round between two positive ones counts as positive.",
            "median up: of all up periods; censored: of those that begin in the first half, not with its first round.",
            "Kaplan-Meier: the length by which half of the periods have ended, those that the end cut off included.",
        ],
    )


def _cells(reading: ReadingResult) -> tuple[Cell, ...]:
    return (
        reading.ever,
        number(reading.availability),
        number(reading.mean_up),
        number(reading.periods_an_address),
        reading.up_periods,
        *(
            Worded(median, seconds(median))
            for median in (reading.median_up_s, reading.median_up_censored_s, reading.median_up_kaplan_meier_s)
        ),
    )


def number(value: float | None, estimate: Estimate | None = None) -> Worded:
    """Return a number with four significant digits, thousands whole; with the interval of its estimate, if given."""
    low, high = (None, None) if estimate is None else (estimate.low, estimate.high)
    return Worded(value, _digits(value), low, high)


def _digits(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if value >= WHOLE_ABOVE else f"{value:.4g}"


def _estimates(results: SurveyResults) -> Table:
    rows = [
        (probe.probe, words, number(estimate.value, estimate), _interval(estimate))
        for probe in results.probes
        for name, words in ESTIMATES.items()
        if (estimate := probe.estimates[name]).value is not None
    ]
    return Table(
        "estimates",
        "Estimates for all eligible /24s, by the weights of those surveyed",
        (Column("probe"), Column("estimate"), Column("value", "as its name says"), Column("95% interval", "text")),
        rows,
        ["The /24 is the unit of the interval, within the stratum of its policy."],
    )


def _interval(estimate: Estimate) -> Between:
    """Return the interval for readers; exports have it with the value."""
    unknown = estimate.low is None or estimate.high is None
    text = ABSENT if unknown else f"{_digits(estimate.low)} to {_digits(estimate.high)}"
    return Between(tables.Estimate(*estimate), text)


def _diurnal(results: SurveyResults) -> Table:
    rows = []
    for probe in results.probes:
        kinds = [block.diurnal.kind for block in probe.blocks]
        responding = probe.responding_blocks
        strict, relaxed = kinds.count("strict"), kinds.count("relaxed")
        rows.append(
            (
                probe.probe,
                responding,
                strict,
                Share.of_counts(strict, responding),
                relaxed,
                Share.of_counts(relaxed, responding),
            )
        )
    return Table(
        "daily_cycles",
        "Daily cycles of /24s",
        (
            Column("probe"),
            Column("responding", "/24s"),
            Column("strict", "/24s"),
            Column("share", "share", "responding /24s", key="strict, share"),
            Column("relaxed", "/24s"),
            Column("share", "share", "responding /24s", key="relaxed, share"),
        ),
        rows,
        [
            "strict: the strongest line of the spectrum is one cycle a day, and twice the next that is no harmonic.",
            "relaxed: the strongest line is one or two cycles a day. Surveys below three days have none.",
        ],
    )


def _full(probe: ProbeResult) -> Sequence[Outage]:
    return [outage for block in probe.blocks for outage in block.outages]


def _trinocular(probe: ProbeResult) -> Sequence[Outage]:
    return [outage for block in probe.blocks for outage in block.trinocular or ()]


def _outages(results: SurveyResults, name: str, title: str, found: list[tuple[str, Outage]], top: int) -> Table:
    longest = sorted(found, key=lambda entry: (-entry[1].sent, entry[1].first, entry[1].block))
    rows = [
        (
            results.run.blocks.name(outage.block),
            probe,
            round_time(results.timing, outage.first),
            "at the end" if outage.end is None else round_time(results.timing, outage.end),
            outage.sent,
            "weekly" if outage.weekly else "",
        )
        for probe, outage in longest
    ]
    shown = "" if len(found) <= top else f", the longest {count(top)} of {count(len(found))}"
    columns = (
        Column("block"), Column("probe"), Column("from"), Column("to"), Column("rounds", "rounds"), Column("recurs"),
    )  # fmt: skip
    notes = ["weekly: the /24 is silent at the same time of all other weeks of the survey too, as offices at weekends."]
    recurring = any(outage.weekly for _, outage in found)
    return Table(name, f"{title}{shown}", columns, rows, notes if recurring else (), shown=top)
