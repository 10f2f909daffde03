"""Tables of a survey: probes sent, availability in both readings, estimates, outages and daily cycles."""

from collections.abc import Iterator, Sequence
from typing import Final

from liveness.analysis.numbers import ABSENT, count, percent, seconds
from liveness.analysis.survey.document import round_time
from liveness.analysis.survey.estimates import Estimate
from liveness.analysis.survey.outages import Outage
from liveness.analysis.survey.results import ProbeResult, ReadingResult, SurveyResults
from liveness.analysis.survey.sequences import PLAIN, REPAIRED
from liveness.analysis.tables import Table
from liveness.report.layout import text_table

ESTIMATES: Final = {
    "responding_blocks": "responding /24s",
    "ever_responsive": "addresses that ever respond",
    "active_at_a_time": "addresses active at a time",
    "A": "A",
    "U": "U",
    "N_U": "N_U",
}


WHOLE_ABOVE: Final = 1000


def survey_tables(results: SurveyResults, top: int) -> Iterator[Table]:
    """Yield the tables of a survey; tables of outages have `top` rows."""
    yield _sent(results)
    yield _availability(results)
    yield _estimates(results)
    yield _diurnal(results)
    for name, title, choose in (
        ("outages", "Full outages", _full),
        ("outages_trinocular", "Outages by Trinocular", _trinocular),
    ):
        found = [(probe.probe, outage) for probe in results.probes for outage in choose(probe)]
        yield _outages(results, name, title, found, top)


def _sent(results: SurveyResults) -> Table:
    rows = [
        (
            probe.probe,
            count(probe.counts.sent),
            count(probe.counts.not_sent),
            count(probe.counts.withdrawn),
            count(probe.counts.positive),
            count(probe.counts.negative),
            count(probe.counts.late),
        )
        for probe in results.probes
    ]
    manifest = results.manifest
    return text_table(
        "sent",
        f"{manifest.run}: {count(manifest.blocks)} /24s, {count(manifest.rounds)} rounds of {manifest.interval_s:g} s",
        ("probe", "sent", "not sent", "withdrawn", "positive", "negative", "late"),
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
    return text_table(
        "availability",
        "Availability",
        ("probe", "reading", "ever", "A", "U", "N_U", "up periods", "median up", "censored", "Kaplan-Meier"),
        rows,
        [
            "A: positive rounds / rounds sent, mean over addresses that were ever positive (ever).",
            "N_U: number of up periods, maximal runs of positive rounds. U: A / N_U.",
            "repaired: each single silent round between two positive ones counts as positive.",
            "median up: of all up periods; censored: of those that begin in the first half, not with its first round.",
            "Kaplan-Meier: the length by which half of the periods have ended, those that the end cut off included.",
        ],
        frozenset({0, 1}),
    )


def _cells(reading: ReadingResult) -> tuple[str, ...]:
    return (
        count(reading.ever),
        _number(reading.availability),
        _number(reading.mean_up),
        _number(reading.periods_an_address),
        count(reading.up_periods),
        seconds(reading.median_up_s),
        seconds(reading.median_up_censored_s),
        seconds(reading.median_up_kaplan_meier_s),
    )


def _number(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if value >= WHOLE_ABOVE else f"{value:.4g}"


def _estimates(results: SurveyResults) -> Table:
    rows = [
        (probe.probe, words, _number(estimate.value), _interval(estimate))
        for probe in results.probes
        for name, words in ESTIMATES.items()
        if (estimate := probe.estimates[name]).value is not None
    ]
    return text_table(
        "estimates",
        "Estimates for all eligible /24s, by the weights of those surveyed",
        ("probe", "estimate", "value", "95% interval"),
        rows,
        ["The /24 is the unit of the interval, within the stratum of its policy."],
        frozenset({0, 1}),
    )


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ABSENT
    return f"{_number(estimate.low)} to {_number(estimate.high)}"


def _diurnal(results: SurveyResults) -> Table:
    rows = []
    for probe in results.probes:
        kinds = [block.diurnal.kind for block in probe.blocks]
        responding = probe.responding_blocks
        strict, relaxed = kinds.count("strict"), kinds.count("relaxed")
        rows.append(
            (
                probe.probe,
                count(responding),
                count(strict),
                percent(strict / responding if responding else None),
                count(relaxed),
                percent(relaxed / responding if responding else None),
            )
        )
    return text_table(
        "daily_cycles",
        "Daily cycles of /24s",
        ("probe", "responding", "strict", "share", "relaxed", "share"),
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
    longest = sorted(found, key=lambda entry: (-entry[1].sent, entry[1].first, entry[1].block))[:top]
    rows = [
        (
            results.run.blocks.name(outage.block),
            probe,
            round_time(results.timing, outage.first),
            "at the end" if outage.end is None else round_time(results.timing, outage.end),
            count(outage.sent),
        )
        for probe, outage in longest
    ]
    shown = "" if len(found) <= top else f", the longest {count(top)} of {count(len(found))}"
    return text_table(
        name, f"{title}{shown}", ("block", "probe", "from", "to", "rounds"), rows, (), frozenset({0, 1, 2, 3})
    )
