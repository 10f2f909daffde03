"""The page: its numbers are those of the JSON document, it needs nothing else, and nobody's name can break it."""

import re
from typing import Any

import pytest

from liveness.analysis.counting.scope import Scope
from liveness.analysis.document import document
from liveness.analysis.measure import Comparison
from liveness.analysis.measures.coverage import COVERAGE
from liveness.analysis.results import Results, analyze_sets
from liveness.reference.published import Published
from liveness.report.comparison import comparison_table
from liveness.report.headline import headline_of
from liveness.report.page.page import report_page
from liveness.report.tables import report_tables
from liveness.runs.course import PathEvent
from liveness.runs.losses import LossRecord
from liveness.runs.manifest import Log, ProbeCounts, Receive, Replay
from tests.populations import EIGHT, Population, town
from tests.report.reading import LOADING, Page
from tests.report.runs import HOSTILE, full, full_manifest, results, run_of, weekly


def number(text: str) -> int:
    return int(text.replace(",", ""))


def percent(share: float | None) -> str:
    """Format a share as the tables do, in other words."""
    if share is None:
        return "-"
    return "<0.1%" if 0 < share < 0.0005 else f"{round(1000 * share + 1e-9) / 10:.1f}%"


FULL = full()
RESULTS = Results([FULL])
HTML = report_page(RESULTS, zooms=(10, 11))
PAGE = Page(HTML)
DOCUMENT: dict[str, Any] = document(RESULTS)["runs"][0]


def test_coverage_and_taxonomy_equal_the_document() -> None:
    for caption, part in (
        ("Coverage by family, addresses (figure 2a)", "addresses"),
        ("Coverage by family, /24s (figure 2b)", "prefixes24"),
    ):
        found = {row[0]: row[1:] for row in PAGE.table(caption).rows}
        expected = DOCUMENT["coverage"][part]
        assert number(found["all"][0]) == expected["all"]
        for family in ("icmp", "tcp", "udp"):
            assert number(found[family][0]) == expected[family]["total"]
            assert number(found[family][2]) == expected[family]["unique"]
    layers = {row[0].replace(" ", "_"): number(row[1]) for row in PAGE.table("Liveness by layer (figure 1)").rows}
    assert layers == DOCUMENT["taxonomy"]


def test_errors_and_types_equal_the_document() -> None:
    for row in PAGE.table("Reply types by family (figure 3a)").rows:
        expected = DOCUMENT["reply_types"][row[0]]
        assert [number(row[place]) for place in (1, 3, 5)] == [
            expected[name] for name in ("reply_only", "error_only", "both")
        ]
    for row in PAGE.table("ICMP errors by category (figure 3b)").rows:
        name = row[0].replace(" ", "_")
        assert [number(row[place]) for place in (1, 3, 5)] == [
            DOCUMENT["error_categories"][family][name] for family in ("icmp", "tcp", "udp")
        ]
    for row in PAGE.table("ICMP error messages by type/code").rows:
        for place, family in ((2, "icmp"), (4, "tcp"), (6, "udp")):
            assert number(row[place]) == DOCUMENT["error_messages"][family].get(row[0], 0)
    only = {row[0]: number(row[1]) for row in PAGE.table("Seen through ICMP errors only (section 4.1)").rows}
    assert only == DOCUMENT["error_only"]
    sources = {row[0]: number(row[1]) for row in PAGE.table("Sources of ICMP errors").rows}
    assert sources == DOCUMENT["error_sources"]


def test_transport_equals_the_document() -> None:
    for row in PAGE.table("Ports answered (figure 4a)").rows:
        split = DOCUMENT["transport"]["ports_answered"][row[0]]
        assert [number(cell) for cell in row[3:6]] == [split[name] for name in ("syn_ack_only", "rst_only", "both")]
        assert number(row[1]) == sum(split.values())
    for row in PAGE.table("Ports (figure 4b)").rows:
        port = DOCUMENT["transport"]["ports"][row[0]]
        assert [number(row[place]) for place in (1, 3, 5)] == [port[name] for name in ("active", "alive", "exclusive")]
    for row in PAGE.table("Inflation by tarpits (section 4.2)").rows:
        inflation = DOCUMENT["tarpits"]["inflation"][row[0]]
        assert row[1:3] == [percent(inflation["over_rest"]), percent(inflation["over_alive"])]
    counts = {row[0]: number(row[1]) for row in PAGE.table("Tarpits (section 4.2)").rows}
    assert counts == {name: DOCUMENT["tarpits"][name] for name in ("candidates", "confirmed")}


def test_joint_results_and_gains_equal_the_document() -> None:
    for basis, name in (("replies", "replies"), ("with_errors", "replies and errors")):
        table = PAGE.table(f"Conditional activity by {name} (figure 5)")
        for row in table.rows:
            expected = DOCUMENT["conditional"][basis][row[0]]
            assert row[1:] == [percent(expected[probe]) for probe in EIGHT]
    for row in PAGE.table("Membership patterns").rows:
        assert number(row[2]) == DOCUMENT["patterns"]["replies"][row[0]]
    for row in PAGE.table("Recovered by retransmission (section 3)").rows:
        gain = DOCUMENT["gains"]["retransmit"][row[0]]
        assert [number(row[1]), number(row[2]), row[3]] == [gain["first"], gain["recovered"], percent(gain["gain"])]
    shares = [row[2] for row in PAGE.table("Gains (sections 1 and 4)").rows]
    gains = DOCUMENT["gains"]
    assert shares == [
        percent(gains["tcp_udp_over_icmp"]["of_all"]),
        percent(gains["tcp_udp_over_icmp"]["over_icmp"]),
        percent(gains["negative"]["over_positive"]),
        percent(gains["negative"]["of_all"]),
    ]


def test_published_values_are_next_to_ours_with_the_difference() -> None:
    table = PAGE.table("Compared with Bano et al. 2018")
    assert table.head == ["result", "formula", "this run", "Bano 2018", "difference"]
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert len(rows) == len(table.rows) > 40
    coverage = DOCUMENT["coverage"]["addresses"]
    ours = coverage["icmp"]["total"] / coverage["all"]
    assert rows["ICMP, total", "total / IPall"] == [percent(ours), "79.0%", f"{100 * (ours - 0.79):+.1f} pp"]
    assert rows["lag, 80% within", "by target"] == ["5.7 s", "10.0 min", "-9.9 min"]
    given = DOCUMENT["conditional"]["replies"]["tcp/23"]["tcp/22"]
    assert rows["tcp/22 given tcp/23", "P(Y | X) by replies"] == [
        percent(given), "90.0% to 100.0%", f"{100 * (given - 0.9):+.1f} pp",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "low", "high", "difference"),
    [
        (0.5, 0.5, 0.5, 0),
        (0.05, 0.03, 0.06, 0),
        (0.02, 0.03, 0.06, -0.01),
        (0.08, 0.03, 0.06, 0.02),
        (0.2, 0.13, None, 0),
        (0.1, 0.13, None, -0.03),
        (None, 0.1, 0.1, None),
    ],
)
def test_differences(ours: float | None, low: float, high: float | None, difference: float | None) -> None:
    published = Published("", low, high, "share", "", "", "")
    found = Comparison("", "", ours, published).difference
    assert found == (None if difference is None else pytest.approx(difference))


def test_a_silent_run_has_dashes_next_to_the_paper() -> None:
    rows = comparison_table(run_of(Population([]))).rows
    assert ("transport active", "transport-active / IPall", "-", "53.8%", "-") in rows
    assert not any(entry.ours for entry in run_of(Population([])).comparisons())


def test_the_form_of_the_page() -> None:
    levels = [level for level, _ in PAGE.headings]
    assert levels.count("h1") == 1
    titles = [text for level, text in PAGE.headings if level == "h2"]
    assert titles == ["Contents", f"Run {FULL.manifest.run}"]
    assert len(list(PAGE.all("figure"))) == 12 + 3  # the map, and two /8s of it
    assert len(PAGE.tables) == len(list(report_tables(RESULTS))) + 2  # provenance, and beside the paper
    assert next(PAGE.all("html")) == {"lang": "en"}
    for cell in PAGE.all("th"):
        assert cell["scope"] in ("col", "row")
    ids = [attributes["id"] for _, attributes in PAGE.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in PAGE.all("a"):
        assert (link["href"] or "").removeprefix("#") in ids
    assert {f"#{name}" for name in ids if name and name.startswith("run1")} <= {link["href"] for link in PAGE.all("a")}
    for _, attributes in PAGE.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids
    for image in PAGE.all("img"):
        assert len(image["alt"] or "") > 40


def test_it_loads_and_runs_nothing() -> None:
    assert not LOADING & {tag for tag, _ in PAGE.tags}
    for tag, attributes in PAGE.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "srcset", "action", "style"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,", "data:image/svg+xml;base64,"))
    assert not re.search(r"url\(|@import|https?:", HTML)
    policy = next(meta for meta in PAGE.all("meta") if "http-equiv" in meta)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_provenance_of_a_run() -> None:
    table = {row[0]: row[1] for row in PAGE.table("Provenance").rows}
    assert table["seed"] == "73"
    assert table["vantage: host"] == "vantage.example"
    assert table["vantage: source addresses"] == "192.0.2.1"
    assert table["liveness"] == FULL.manifest.version
    assert table["started"] == "2026-11-21T00:00:00Z"
    assert "allow:\n  - 10.0.0.0/8" in PAGE.text


def test_the_page_of_a_whole_run_warns_of_nothing() -> None:
    assert "Read this first" not in HTML
    assert not any(attributes.get("role") == "alert" for _, attributes in PAGE.tags)


def test_losses_and_a_partial_run_are_reported_before_anything_else() -> None:
    lossy = results(
        Population(town().replies, status="partial"),
        loss_warnings=["the kernel dropped 7 of 100 packets"],
        receive=Receive(packets=93, kernel_drops=7),
        log=Log(complete=False, problems=["the disk was full"]),
        replay=Replay(captures=["a.pcap"], packets=9, passed=9, unread=["b.pcap: cut off"]),
    )
    html = report_page(lossy)
    page = Page(html)
    head = page.text[: page.text.index("Contents")]
    for warning in (
        "status partial (interrupted): it stopped early",
        "the kernel dropped 7 of 100 packets",
        "its log of replies is not whole: the disk was full",
        "not read of its captures: b.pcap: cut off",
    ):
        assert f"census/2026-11-21T000000Z: {warning}" in head
    assert next(text for level, text in page.headings if level == "h2") == "Read this first"
    alarms = re.findall(r'class="number alarm">([^<]*)<|class="alarm">([^<]*)<', html)
    assert "partial (interrupted)" in {text for pair in alarms for text in pair}
    assert "7" in {text for pair in alarms for text in pair}


def test_a_hostile_name_is_text() -> None:
    name = HOSTILE + "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}{% raw %}"
    hostile = Population(town().replies, name=name, loss_warnings=[name])
    manifest = full_manifest(hostile.manifest())
    html = report_page(analyze_sets([(manifest, hostile.open_set)], Scope(alive24=True)))
    page = Page(html)
    assert "<script" not in html
    assert not LOADING & {tag for tag, _ in page.tags}
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in PAGE.tags} | {"b", "section"} - {"b"}
    assert page.text.count(name) >= 4
    assert ("h2", f"Run {name}/2026-11-21T000000Z") in page.headings


def test_several_runs_are_chapters_and_what_changed_between_them_too() -> None:
    several = results(*weekly(3), loss_warnings=["something was lost"])
    page = Page(report_page(several))
    chapters = [text for level, text in page.headings if level == "h2"]
    assert chapters == [
        "Read this first",
        "Contents",
        "Run weekly/2026-11-01",
        "Run weekly/2026-11-08",
        "Run weekly/2026-11-15",
        "From run to run",
    ]
    assert page.text.count("something was lost") == 6
    expected = document(several)["changes"]
    for change in expected:
        [_, *rows] = page.table(f"Changes from {change['from']} to {change['to']}").rows
        for row in rows:
            family = change["by_family"][row[0]]
            assert [number(row[place]) for place in (1, 3, 5)] == [family[name] for name in ("born", "died", "stayed")]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    retention = page.table("Retention: alive in later runs").rows
    assert number(retention[0][1]) == document(several)["retention"][0]["addresses"]


def test_only_the_last_run_is_counted_by_prefix_and_has_a_map() -> None:
    several = results(*weekly(2), scope=Scope(alive24=True))
    assert [run.alive24 is None for run in several.runs] == [True, False]
    page = Page(report_page(several))
    assert [text for _, text in page.headings].count("Map of liveness") == 1


def test_the_same_results_give_the_same_page() -> None:
    assert report_page(Results([full()]), zooms=(10, 11)) == HTML


def test_the_page_begins_with_how_many_are_alive_and_ends_with_where_it_comes_from() -> None:
    everyone, targets = FULL[COVERAGE].addresses.all, FULL.targets
    begin = PAGE.text.index("Liveness report")
    assert f"{everyone:,} addresses alive, of {targets:,} targets" in PAGE.text[begin : begin + 200]
    assert "; complete; no known loss" in " ".join(PAGE.text[begin : begin + 200].split())
    blocks = [text for level, text in PAGE.headings if level == "h3"]
    assert (blocks[0], blocks[-1]) == ("Status and losses", "Provenance")
    details = list(PAGE.all("details"))
    assert "open" not in details[0], "the contents are folded"
    assert "open" not in details[-1], "the config is folded"


def test_the_headline_of_a_run_that_lost_something() -> None:
    partial = Population(town().replies, status="partial")
    lossy = run_of(
        partial,
        loss_warnings=["the kernel dropped 7 of 100 packets"],
        receive=Receive(packets=93, kernel_drops=7),
        probes={"icmp": ProbeCounts(sent=[1024, 0])},
    )
    line = headline_of(lossy)
    assert line.numbers == f"{lossy.ipall} addresses alive, of 1,024 targets probed (20.2%)"
    assert (line.status, line.sound) == ("partial (interrupted)", False)
    assert line.losses == "7 received packets dropped, 1 warning"


def test_events_on_the_way_have_a_table() -> None:
    event = PathEvent(
        at="2026-11-21T00:00:03Z",
        after_s=3.0,
        what="neighbour",
        detail="<b>new MAC</b>",
        action="redirected",
        targets=7,
    )
    loss = LossRecord(from_s=1.0, to_s=2.5, cause="the interface dropped them", probes=1200, targets=150)
    page = Page(report_page(results(town(), path=[event], losses=[loss])))
    assert [list(row) for row in page.table("Events on the way to the targets").rows] == [
        ["2026-11-21T00:00:03Z", "neighbour", "<b>new MAC</b>", "redirected", "7"]
    ]
    assert [list(row) for row in page.table("Known losses").rows] == [
        ["1.0 to 2.5 s", "the interface dropped them", "1,200", "150"]
    ]
    assert "Events on the way to the targets" not in PAGE.text
