"""The tables: whole numbers at every width, a formula beside each, and nothing a pipe would break."""

import io
import re
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from liveness.analysis.across.changes import Change, PortTurnover, Turnover
from liveness.analysis.across.retention import Retention, retention_table
from liveness.analysis.counting.partition import by_prefixes
from liveness.analysis.counting.scope import Scope, Within
from liveness.analysis.formula import formulas
from liveness.analysis.measure import RunResults
from liveness.analysis.measures.conditional import Conditional
from liveness.analysis.measures.coverage import FamilyCoverage
from liveness.analysis.measures.error_categories import ErrorCategories
from liveness.analysis.measures.error_only import ErrorOnly
from liveness.analysis.measures.error_sources import ErrorSources
from liveness.analysis.measures.gains import NegativeGain, ProbeGain, RetransmitGain
from liveness.analysis.measures.loss import Loss
from liveness.analysis.measures.loss import tables as loss_tables
from liveness.analysis.measures.reply_types import ReplyTypes
from liveness.analysis.measures.slices import SLICES
from liveness.analysis.measures.tarpits import Inflation, Tarpits
from liveness.analysis.measures.taxonomy import Taxonomy
from liveness.analysis.measures.top_sources import tables as source_tables
from liveness.analysis.measures.transport import PortActivity, PortsAnswered
from liveness.analysis.numbers import count, in_words, percent, seconds, signed
from liveness.analysis.results import Results, analyze_sets
from liveness.analysis.tables import Column, Table
from liveness.reference.bano_2018 import PORT_SPLIT
from liveness.report.layout import Section, sections_of
from liveness.report.tables import report_tables, tables_of
from liveness.runs.course import Lag
from liveness.runs.manifest import Manifest, Receive, TopSource
from liveness.space.intervals import Intervals
from tests.populations import BASE, EIGHT, Population, town

T = TypeVar("T")

PORTS_ALONE = Population([reply for reply in town().replies if reply.probe == "tcp/80"], ("tcp/80",), control=False)
FIFTEEN = Population([], ("icmp", *(f"tcp/{port}" for port in range(60001, 60013)), "dns", "ntp"))


def results(population: Population, **changes: object) -> RunResults:
    manifest = msgspec.structs.replace(population.manifest(), **changes)
    return analyze_sets([(manifest, population.open_set)]).runs[0]


def part_of(population: Population) -> RunResults:
    """Return the results of one /16, sliced."""
    within = Within(
        ("10.0.0.0/16", "10.1.0.0/24"), Intervals.from_bounds([BASE, BASE + 65536], [BASE + 65535, BASE + 65791])
    )
    scope = Scope(within=within, partition=by_prefixes("asn", [(BASE, 24, "64500"), (BASE + 256, 25, "64501_64502")]))
    return analyze_sets([(population.manifest(), population.open_set)], scope, [1024]).runs[0]


def internet_scale(value: T) -> T:
    """Return a result with every count of the town a million times as large."""
    if isinstance(value, (Manifest, str)):
        return value
    if isinstance(value, list):
        return [internet_scale(entry) for entry in value]  # type: ignore[return-value]
    if isinstance(value, int):
        return value * 1_000_003  # type: ignore[return-value]
    if isinstance(value, dict):
        return {key: internet_scale(entry) for key, entry in value.items()}  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: internet_scale(getattr(value, entry.name)) for entry in fields(value)})
    return value


def render(tables: Iterable[RenderableType], width: int, *, terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, color_system="standard" if terminal else None
    )
    with console.capture() as captured:
        for table in tables:
            console.print(table)
    return captured.get()


def words(text: str) -> str:
    return " ".join(text.split())


CHANGE = Change(
    "a/1",
    "a/2",
    Turnover(1, 2, 3),
    {family: Turnover(0, 0, 3) for family in ("icmp", "tcp", "udp")},
    {80: PortTurnover(4, 0, 3)},
)
CURVES = [
    Retention("weekly/2026-11-21T000000Z", 40, [30, 20], [0.75, 0.5], [30, 10], [0.75, 0.25]),
    Retention("weekly/2026-11-28T000000Z", 0, [0], [None], [0], [None]),
]
ACROSS: dict[str, list[Change] | list[Retention]] = {"changes": [CHANGE], "retention": CURVES}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    "run",
    [
        results(town()),
        internet_scale(results(town())),
        part_of(town()),
        internet_scale(part_of(town())),
        results(Population([])),
        results(PORTS_ALONE),
        results(FIFTEEN),
        results(Population([], ())),
    ],
    ids=["town", "internet", "part", "internet-part", "silence", "one-port", "fifteen-probes", "no-probes"],
)
def test_no_number_breaks_and_no_line_is_too_long(run: RunResults, width: int) -> None:
    for section in report_tables(
        Results([run], {"changes": [internet_scale(CHANGE)], "retention": internet_scale(CURVES)})
    ):
        text = render([section], width)
        assert max(len(line) for line in text.splitlines()) <= width
        assert isinstance(section, Section)
        for row in section.rows:
            for place, cell in enumerate(row):
                if place not in section.text_columns:
                    assert str(cell) in text, (section.title, cell)
                else:
                    assert all(word in text for word in str(cell).split()), (section.title, cell)
        for note in section.notes:
            assert words(note) in words(text)


def test_in_a_narrow_console_words_wrap_and_numbers_stay_whole() -> None:
    row = ("a name of a few words", "146,676,867", "158,990,419")
    columns = (Column(""), Column("active", "addresses"), Column("alive", "addresses"))
    section = Section(Table("narrow", "narrow", columns, [row]))
    text = render([section], 36)
    assert "146,676,867  158,990,419" in text
    assert words(" ".join(line[2:12] for line in text.splitlines()[3:])) == row[0]


def test_every_formula_is_printed() -> None:
    text = words(render(report_tables(Results([results(town())], ACROSS)), 200))
    printed = (
        Taxonomy, FamilyCoverage, ReplyTypes, ErrorOnly, ErrorCategories, ErrorSources, PortsAnswered, PortActivity,
        Tarpits, Inflation, Conditional, ProbeGain, NegativeGain, RetransmitGain, Loss, Turnover, PortTurnover,
        Retention,
    )  # fmt: skip
    for result in printed:
        assert formulas(result), result
        for formula in formulas(result).values():
            assert formula in text, formula


def test_losses_are_reported_with_their_interval_and_busy_sources_by_name() -> None:
    losses = {
        "icmp": Loss(
            first_only=1200,
            both=90000,
            recovered=1100,
            missed=14.7,
            missed_low=9.2,
            missed_high=23.5,
            duplicates=[7, 0],
        ),
        "dns": Loss(
            first_only=3, both=0, recovered=0, missed=None, missed_low=None, missed_high=None, duplicates=[0, 0]
        ),
    }
    lines = {words(line) for line in render(map(Section, loss_tables(losses, results(town()))), 120).splitlines()}
    assert "icmp 1,200 90,000 1,100 14.7 9.2 to 23.5 7 0" in lines
    assert "dns 3 0 0 - - 0 0" in lines
    sources = [TopSource(source="198.51.100.7", messages=1_000_000)]
    busy = render(map(Section, source_tables(sources, results(town()))), 120)
    assert "198.51.100.7 1,000,000" in {words(line) for line in busy.splitlines()}


def test_published_values_are_next_to_ours() -> None:
    text = render(tables_of(results(town())), 120)
    lines = {words(line) for line in text.splitlines()}
    assert "all 207 100.0% 487 M" in lines
    assert "icmp 134 64.7% 3 1.4% 79% in all" in lines
    assert "7547 87 43.5% 36 18.0% 5 2.5% 11.5%" in lines
    assert "Bano 2018 61,696,697 80,595,607 4,384,563 45.1%" in lines
    assert "icmp 128 3 2.3% 2.2%, echo replies" in lines
    assert "lag between probes, at most - (Bano 2018: 25 min)" in lines


def test_published_port_counts_give_the_published_shares() -> None:
    alive_of_active = {22: "14.0%", 23: "8.4%", 80: "45.1%", 443: "28.9%", 7547: "18.3%"}
    for port, (syn_ack, rst, both) in PORT_SPLIT.items():
        assert percent((syn_ack + both) / (syn_ack + rst + both)) == alive_of_active[port]


def test_bars_of_the_paper_compare_only_with_five_ports() -> None:
    assert "74.0 M" in render(tables_of(results(town())), 120)
    assert "74.0 M" not in render(tables_of(results(PORTS_ALONE)), 120)


def test_one_tcp_port_explains_its_missing_tarpits() -> None:
    text = words(render(tables_of(results(PORTS_ALONE)), 120))
    assert "Fewer than two TCP ports were probed" in text
    assert "No control port was probed" in text
    assert "Fewer than two TCP ports" not in words(render(tables_of(results(town())), 120))


def test_losses_are_red() -> None:
    run = results(
        town(),
        status="partial",
        reason="interrupted",
        loss_warnings=["the kernel dropped 7 of 100 packets [7%]"],
        receive=Receive(packets=93, kernel_drops=7),
    )
    text = render(tables_of(run), 120, terminal=True)
    red = re.findall(r"\x1b\[1;31m(.*?)\x1b\[0m", text)
    assert [words(part) for part in red] == [
        "warning: the kernel dropped 7 of 100 packets [7%]",
        "partial (interrupted)",
        "7",
    ]
    assert "\x1b[1;31m" not in render(tables_of(results(town())), 120, terminal=True)


def test_rejected_packets_and_lag_are_reported() -> None:
    run = results(
        town(), rejected={"fragment": 2, "bad-cookie": 3000, "truncated": 0}, lag=Lag(max_s=0.0125, p80_s=3.0)
    )
    lines = [words(line) for line in render(tables_of(run), 120).splitlines()]
    assert lines.index("rejected: bad-cookie 3,000") == lines.index("rejected: fragment 2") - 1
    assert not any("truncated" in line for line in lines)
    assert "lag between probes, at most 12.5 ms (Bano 2018: 25 min)" in lines
    assert "lag between probes, 80% within 3.0 s (Bano 2018: 10 min)" in lines


def test_piped_tables_hold_no_escapes_and_ascii_readers_no_frames() -> None:
    text = render(tables_of(results(town())), 80)
    assert "\x1b" not in text
    assert set(text) - set("─") <= {chr(code) for code in range(32, 127)} | {"\n"}
    raw = io.BytesIO()
    ascii_only = io.TextIOWrapper(raw, encoding="ascii")
    console = Console(file=ascii_only, width=80)
    for table in tables_of(results(town())):
        console.print(table)
    ascii_only.flush()
    assert b"network alive" in raw.getvalue()


def test_a_matrix_of_many_probes_comes_in_parts() -> None:
    titles = [section.title for section in tables_of(results(FIFTEEN)) if isinstance(section, Section)]
    assert titles.count("Conditional activity by replies (figure 5)") == 2
    eight = [section.title for section in tables_of(results(town())) if isinstance(section, Section)]
    assert eight.count("Conditional activity by replies (figure 5)") == 1
    assert len(EIGHT) == 8


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "-"), (0.0, "0.0%"), (0.00001, "<0.1%"), (0.0005, "0.1%"), (0.5382, "53.8%"), (1.0, "100.0%")],
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("duration_s", "text"), [(None, "-"), (0.0007, "0.7 ms"), (1.0, "1.0 s"), (119.0, "119.0 s"), (1500.0, "25.0 min")]
)
def test_seconds(duration_s: float | None, text: str) -> None:
    assert seconds(duration_s) == text


def test_fields_are_spoken_as_words() -> None:
    fields = ("first_only", "rst_only", "syn_ack_only", "other_unreachable")
    assert [in_words(field) for field in fields] == ["first only", "RST only", "SYN-ACK only", "other unreachable"]


def test_count() -> None:
    assert (count(None), count(0), count(146676867)) == ("-", "0", "146,676,867")


def test_a_part_is_labelled_and_packet_counts_are_left_out() -> None:
    text = render(tables_of(part_of(town())), 120)
    lines = {words(line) for line in text.splitlines()}
    assert "within 10.0.0.0/16, 10.1.0.0/24" in lines
    assert "addresses in it 65,792" in lines
    assert "Shares of the 1,024 targets and of IPall, 204 addresses." in lines
    for title in ("Probes and replies", "ICMP error messages", "Recovered by retransmission", "Loss, by the attempt"):
        assert title not in text
        assert title in render(tables_of(results(town())), 120)


def test_slices_are_shown_from_the_largest_on() -> None:
    run = part_of(town())
    assert run[SLICES] is not None
    [table] = SLICES.tables(run[SLICES], run)
    rows = [words(line) for line in render(sections_of(table, 2), 80).splitlines()]
    assert rows[3].startswith("? 1")
    assert rows[4].split()[:2] == ["64500", "29"]
    assert "The 2 largest of 3; --json has all, with every layer and family." in rows
    assert not any("64501" in row for row in rows)


def test_changes_by_port_and_retention() -> None:
    lines = [words(line) for line in render(report_tables(Results([], ACROSS)), 80).splitlines()]
    assert "80 4 57.1% 0 0.0% 3" in lines
    assert lines[lines.index("weekly/2026-11-21T000000Z 40 75.0% 50.0%") + 1] == "throughout 75.0% 25.0%"
    assert "weekly/2026-11-28T000000Z 0 -" in lines


def test_long_curves_are_cut_and_say_so() -> None:
    curve = Retention("weekly/1", 9, [9] * 9, [1.0] * 9, [9] * 9, [1.0] * 9)
    text = render([Section(retention_table([curve]))], 80)
    assert "+6" in text
    assert "+7" not in text
    assert "The first 6 of 9 later runs; --json has all." in text


@given(st.floats(0, 1), st.integers(0, 3))
def test_shares_that_are_not_whole_never_read_as_all_or_nothing(share: float, decimals: int) -> None:
    text = percent(share, decimals)
    number = float(text.strip("<>%"))
    assert (number == 0) == (share == 0)
    assert (number == 100) == (share == 1)
    assert abs(number - 100 * share) <= 10.0**-decimals


def test_percent_and_signs() -> None:
    assert [percent(share) for share in (0.99996, 0.9996, 0.00001, 1.0, 0.0, -0.0, None)] == [
        ">99.9%", ">99.9%", "<0.1%", "100.0%", "0.0%", "0.0%", "-",
    ]  # fmt: skip
    assert percent(0.996, 0) == ">99%"
    assert [signed(number) for number in (-0.04, 0.04, -0.06, 1.25)] == ["0.0", "0.0", "-0.1", "+1.2"]
