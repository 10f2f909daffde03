"""Tables of a survey: churn from day to day, shifts and leases of /24s, delays of replies, and published values."""

from collections.abc import Iterator
from typing import Final

from liveness.analysis.numbers import ABSENT, percent
from liveness.analysis.survey.churn import ACTIVE, BORN, DAY_S, DIED, LEFT, RETURNED
from liveness.analysis.survey.delays import FEWEST_REPLIES, PERCENTILES
from liveness.analysis.survey.occupancy import STABLE_FROM
from liveness.analysis.survey.published import compared
from liveness.analysis.survey.results import ProbeResult, SurveyResults
from liveness.analysis.tables import Cell, Column, Table, Worded
from liveness.clock import utc_brief
from liveness.reference import padmanabhan_2015

TIMEOUTS: Final = dict(zip(padmanabhan_2015.PERCENTILES, padmanabhan_2015.TIMEOUT_S, strict=True))


def published_table(results: SurveyResults) -> Table:
    """Return the table that compares a survey with published values."""
    rows = [
        (
            probe.probe,
            one.what,
            Worded(one.value, one.words, one.low, one.high),
            one.interval,
            one.published.words,
            one.source,
        )
        for probe in results.probes
        for one in compared(probe)
        if one.value is not None
    ]
    return Table(
        "survey_published",
        "Comparison with published values",
        (
            Column("probe"),
            Column("number"),
            Column("value", "as its name says"),
            Column("95% interval"),
            Column("published"),
            Column("source"),
        ),
        rows,
        [
            "full: addresses active at a time / 256. Estimates by the weights of the /24s surveyed.",
            f"stable: U of {STABLE_FROM} or more after repair. The median is over up periods, not over addresses.",
        ],
    )


def change_tables(results: SurveyResults, top: int) -> Iterator[Table]:
    """Yield the tables of churn, shifts, leases and delays that have rows; shifts are the `top` largest."""
    for probe in results.probes:
        for table in (_churn(results, probe), _shifts(results, probe, top), _leases(probe), _delays(probe)):
            if table.rows:
                yield table


def _start(results: SurveyResults, day: int) -> str:
    return utc_brief(results.timing.at_ns(day * DAY_S / results.timing.interval_s))


def _churn(results: SurveyResults, probe: ProbeResult) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (_start(results, day), *(int(counts[place]) for place in (ACTIVE, BORN, RETURNED, LEFT, DIED)))
        for day, counts in enumerate(probe.changes.tolist())
    ]
    names = ("active", "born", "returned", "left", "died")
    return Table(
        "churn",
        f"Addresses of {probe.probe} from day to day",
        (Column("day from"), *(Column(name, "addresses") for name in names)),
        rows,
        [
            "active: replied positively on the day. born, returned: after a day without, for the first time or again.",
            "left, died: without after a day with a reply, and active again later or never.",
        ],
        keys={"probe": probe.probe},
    )


def _shifts(results: SurveyResults, probe: ProbeResult, top: int) -> Table:
    found = [block for block in probe.blocks if block.shift is not None]
    found.sort(key=lambda block: -abs(block.shift.after - block.shift.before) if block.shift is not None else 0)
    rows = [
        (
            results.run.blocks.name(block.block),
            _start(results, block.shift.day),
            Worded(block.shift.before, f"{block.shift.before:.1f}"),
            Worded(block.shift.after, f"{block.shift.after:.1f}"),
        )
        for block in found
        if block.shift is not None
    ]
    cut = "" if len(found) <= top else f", the largest {top:,} of {len(found):,}"
    return Table(
        "shifts",
        f"Lasting shifts of /24s, {probe.probe}{cut}",
        (Column("block"), Column("at"), Column("before", "addresses"), Column("after", "addresses")),
        rows,
        ["before, after: mean number of addresses active at a time. Both levels last three days at least."],
        keys={"probe": probe.probe},
        shown=top,
    )


def _leases(probe: ProbeResult) -> Table:
    found = [block.lease_s for block in probe.blocks if block.lease_s is not None]
    rows = [
        (Worded(lease_s, f"{lease_s / 3600:g} h"), found.count(lease_s), percent(found.count(lease_s) / len(found)))
        for lease_s in sorted(set(found))
    ]
    return Table(
        "leases",
        f"Leases of /24s, {probe.probe}",
        (Column("lease", "seconds"), Column("/24s", "/24s"), Column("share")),
        rows,
        ["lease: three quarters or more of the up periods of the /24 are a multiple of it, to within one round."],
        keys={"probe": probe.probe},
    )


def _delays(probe: ProbeResult) -> Table:
    delays = probe.delays
    rows: list[tuple[Cell, ...]] = []
    if delays is not None:
        for place, share in enumerate(PERCENTILES):
            both = zip(delays.timeout_s[place].tolist(), TIMEOUTS[share], strict=True)
            cells = (Worded(timeout, f"{_short(timeout)} ({published:g})") for timeout, published in both)
            rows.append((f"{share}%", *cells))
    counted = ABSENT if delays is None else f"{delays.addresses:,} addresses, {delays.replies:,} replies"
    return Table(
        "delays",
        f"Timeouts that catch a share of the replies, {probe.probe}: {counted}",
        (
            Column("of addresses"),
            *(Column(f"{share}% of replies", "seconds", key=f"{share}%") for share in PERCENTILES),
        ),
        rows,
        [
            f"Seconds, in brackets those of {padmanabhan_2015.LABEL}. Addresses with {FEWEST_REPLIES} replies or more.",
        ],
        keys={"probe": probe.probe},
    )


def _short(duration_s: float) -> str:
    return f"{duration_s:.3g}" if duration_s < 100 else f"{duration_s:.0f}"  # noqa: PLR2004 - three digits
