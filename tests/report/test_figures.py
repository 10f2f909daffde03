"""The figures: what is drawn is what was computed, every word is legible, and the same results give the same bytes."""

import re
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.scope import Scope, Within
from liveness.analysis.measure import RunResults
from liveness.analysis.measures.conditional import CONDITIONAL
from liveness.analysis.measures.coverage import COVERAGE
from liveness.analysis.measures.error_categories import ERROR_CATEGORIES
from liveness.analysis.measures.error_categories import PARTS as CATEGORY_PARTS
from liveness.analysis.measures.lag import lag_curve
from liveness.analysis.measures.patterns import PATTERNS
from liveness.analysis.measures.reply_types import PARTS as REPLY_PARTS
from liveness.analysis.measures.reply_types import REPLY_TYPES
from liveness.analysis.measures.taxonomy import TAXONOMY
from liveness.analysis.measures.transport import TRANSPORT
from liveness.analysis.numbers import in_words
from liveness.analysis.results import analyze_runs
from liveness.report.figures.drawers import figures_across, figures_of
from liveness.report.figures.drawing import Drawing
from liveness.report.figures.style import FONT, HATCHES, drawable, styled
from liveness.space.intervals import Intervals
from tests.applications.talked import talked
from tests.populations import BASE, Population, town
from tests.report.legible import every_word_is_legible
from tests.report.runs import HOSTILE, full, results, run_of, weekly

SILENCE = Population([])
FIFTEEN = Population([], ("icmp", *(f"tcp/{port}" for port in range(60001, 60013)), "dns", "ntp"))
NO_PROBES = Population([], (), control=False)
SVG = "{http://www.w3.org/2000/svg}"


def figures(run: RunResults) -> dict[str, Drawing]:
    return {drawing.name: drawing for drawing in figures_of(run)}


def bars(drawing: Drawing, axes: int = 0) -> dict[str, Rectangle]:
    """Return the bars of a figure by what they are called."""
    found = {}
    for container in drawing.figure.axes[axes].containers:
        assert isinstance(container, BarContainer)
        for patch in container.patches:
            gid = patch.get_gid()
            assert gid is not None
            found[gid] = patch
    return found


def heights(drawing: Drawing) -> dict[str, float]:
    """Return the heights of bars, named by part and the first line of the bar's label."""
    return {gid.split("\n")[0]: patch.get_height() for gid, patch in bars(drawing).items()}


def marks(axes: Axes) -> list[tuple[float, float]]:
    """Return where published values are marked."""
    points = [line.get_xydata() for line in axes.lines if line.get_gid() == "published"]
    return [(float(x), float(y)) for line in points for x, y in np.asarray(line)]


TOWN = full()
DRAWN = figures(TOWN)


def test_a_run_has_all_figures_of_the_paper() -> None:
    assert list(DRAWN) == [
        "figure-1-funnel",
        "figure-2a-coverage-addresses",
        "figure-2b-coverage-prefixes24",
        "figure-3a-reply-types",
        "figure-3b-error-categories",
        "figure-4a-ports-answered",
        "figure-4b-ports",
        "figure-5-conditional-replies",
        "figure-5-conditional-replies-and-errors",
        "patterns",
        "lag",
        "timeline",
    ]


def test_widths_of_the_funnel_are_shares_of_ipall() -> None:
    everyone = TOWN[COVERAGE].addresses.all
    for gid, bar in bars(DRAWN["figure-1-funnel"]).items():
        number = getattr(TOWN[TAXONOMY], gid.removeprefix("layer:"))
        assert bar.get_width() == pytest.approx(number / everyone)
        assert bar.get_x() + bar.get_width() / 2 == pytest.approx(0)


@pytest.mark.parametrize(("name", "what"), [("2a-coverage-addresses", "addresses"), ("2b-coverage-prefixes24", "24s")])
def test_bars_of_coverage(name: str, what: str) -> None:
    coverage = TOWN[COVERAGE].addresses if what == "addresses" else TOWN[COVERAGE].prefixes24
    drawn = bars(DRAWN[f"figure-{name}"])
    found = heights(DRAWN[f"figure-{name}"])
    for family in FAMILIES:
        of_family = coverage.families[family]
        assert found[f"unique:{family.upper()}"] == pytest.approx(of_family.unique / coverage.all)
        assert found[f"overlapping:{family.upper()}"] == pytest.approx(of_family.overlapping / coverage.all)
        upper = next(bar for gid, bar in drawn.items() if gid.startswith(f"overlapping:{family.upper()}\n"))
        assert upper.get_y() + upper.get_height() == pytest.approx(of_family.total / coverage.all)
        assert f"unique:{family.upper()}\n{of_family.total:,} in all\n{of_family.unique:,} unique" in drawn
    assert f"{coverage.all:,}" in DRAWN[f"figure-{name}"].figure.axes[0].get_ylabel()


def test_published_coverage_is_marked_at_its_height() -> None:
    by_address = [height for _, height in marks(DRAWN["figure-2a-coverage-addresses"].figure.axes[0])]
    assert by_address == [0.79, 0.16, 0.02]
    by_prefix = {round(height, 4) for _, height in marks(DRAWN["figure-2b-coverage-prefixes24"].figure.axes[0])}
    assert by_prefix == {round(part / 5_272_594, 4) for part in (4898342, 5049504, 4453634, 162778, 223580, 23127)}


def test_bars_of_reply_types_and_error_categories() -> None:
    replied, erred = heights(DRAWN["figure-3a-reply-types"]), heights(DRAWN["figure-3b-error-categories"])
    for family in FAMILIES:
        types, categories = TOWN[REPLY_TYPES][family], TOWN[ERROR_CATEGORIES][family]
        total = TOWN[COVERAGE].addresses.families[family].total
        for part in REPLY_PARTS:
            assert replied[f"{in_words(part)}:{family.upper()}"] == pytest.approx(getattr(types, part) / total)
        for part in CATEGORY_PARTS:
            share = getattr(categories, part) / categories.all if categories.all else 0.0
            assert erred[f"{in_words(part)}:{family.upper()}"] == pytest.approx(share)
        assert sum(replied[f"{in_words(part)}:{family.upper()}"] for part in REPLY_PARTS) == pytest.approx(1)


def test_bars_of_ports_answered() -> None:
    found, whole = heights(DRAWN["figure-4a-ports-answered"]), TOWN[TRANSPORT].active
    for number, split in TOWN[TRANSPORT].ports_answered.items():
        assert found[f"SYN-ACK only:{number}"] == pytest.approx(split.syn_ack_only / whole)
        assert found[f"RST only:{number}"] == pytest.approx(split.rst_only / whole)
        assert found[f"both:{number}"] == pytest.approx(split.both / whole)
    marked = [height for _, height in marks(DRAWN["figure-4a-ports-answered"].figure.axes[0])]
    assert [f"{height:.0%}" for height in marked] == ["28%", "20%", "11%", "16%", "24%"]


def test_bars_of_ports() -> None:
    found, whole = heights(DRAWN["figure-4b-ports"]), TOWN[TRANSPORT].active
    for port, entry in TOWN[TRANSPORT].ports.items():
        assert found[f"alive (SYN-ACK):{port}"] == pytest.approx(entry.alive / whole)
        assert found[f"alive (SYN-ACK):{port}"] + found[f"RST only:{port}"] == pytest.approx(entry.active / whole)
        assert found[f"exclusive:{port}"] == pytest.approx(entry.exclusive / whole)
    assert len(marks(DRAWN["figure-4b-ports"].figure.axes[0])) == 10


def test_cells_of_the_heat_maps() -> None:
    for name, matrix in (
        ("figure-5-conditional-replies", TOWN[CONDITIONAL].replies),
        ("figure-5-conditional-replies-and-errors", TOWN[CONDITIONAL].with_errors),
    ):
        axes = DRAWN[name].figure.axes[0]
        [image] = axes.images
        probes = list(matrix)
        drawn = np.ma.filled(np.ma.asarray(image.get_array(), np.float64), np.nan)
        assert drawn.shape == (8, 8)
        words = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}
        for row, given in enumerate(probes):
            for column, probe in enumerate(probes):
                value = matrix[given][probe]
                assert value is not None
                assert drawn[row, column] == pytest.approx(value)
                if value >= 0.005:
                    assert words[row, column].split("\n")[0] == f"{100 * value:.0f}"
        assert [label.get_text() for label in axes.get_yticklabels()] == [
            probe.removeprefix("tcp/") for probe in probes
        ]
    beside = [text.get_text() for text in DRAWN["figure-5-conditional-replies"].figure.axes[0].texts]
    assert sum("(90+)" in text for text in beside) == 2
    assert sum("(56)" in text for text in beside) == 1


def test_bars_and_dots_of_patterns() -> None:
    whole = sum(TOWN[PATTERNS].replies.values())
    top, dots, left = DRAWN["patterns"].figure.axes
    drawn = {patch.get_gid(): patch.get_height() for container in top.containers for patch in container.patches}  # type: ignore[attr-defined]
    sizes = list(drawn.values())
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 20
    for gid, height in drawn.items():
        assert height == pytest.approx(TOWN[PATTERNS].replies[str(gid).removeprefix("pattern:")] / whole)
    joined = [line for line in dots.lines if line.get_linestyle() == "-"]
    for gid, line in zip(drawn, joined, strict=True):
        answered = [row for row, digit in enumerate(str(gid).removeprefix("pattern:")) if digit == "1"]
        assert list(line.get_ydata()) == answered  # type: ignore[arg-type]
    widths = [patch.get_width() for container in left.containers for patch in container.patches]  # type: ignore[attr-defined]
    matrix = TOWN[PATTERNS].replies
    assert widths == [
        pytest.approx(sum(size for digits, size in matrix.items() if digits[place] == "1") / whole)
        for place in range(8)
    ]


def test_the_lag_curve() -> None:
    curve = lag_curve(TOWN.manifest)
    assert curve.lags_s == pytest.approx([0.7 * (target + 1) for target in range(10)])
    axes = DRAWN["lag"].figure.axes[0]
    [line] = [line for line in axes.lines if line.get_gid() == "lag"]
    for at_s, share in np.asarray(line.get_xydata())[1:]:
        assert share == pytest.approx(sum(lag <= at_s + 1e-9 for lag in curve.lags_s) / 10)
    assert marks(axes) == [(600.0, 0.8), (1500.0, 1.0)]


def test_the_timeline_is_in_packets_a_second() -> None:
    upper, lower = DRAWN["timeline"].figure.axes
    sent, packets, accepted = (patch.get_data() for patch in upper.patches)  # type: ignore[attr-defined]
    assert list(sent.values) == [(1000 + second) / 2 for second in range(30)]
    assert list(packets.values) == [(600 - second) / 2 for second in range(30)]
    assert list(accepted.values) == [250.0] * 30
    assert list(sent.edges) == [2.0 * edge for edge in range(31)]
    drops = lower.patches[0].get_data()  # type: ignore[attr-defined]
    assert sum(drops.values) * 2 == 7


def test_turnover_and_retention() -> None:
    several = results(*weekly(4))
    turnover, retention = figures_across(several)
    axes = turnover.figure.axes[:4]
    for panel, population in zip(axes, ("all", *FAMILIES), strict=True):
        drawn = {
            str(patch.get_gid()): patch.get_height()
            for container in panel.containers
            for patch in container.patches  # type: ignore[attr-defined]
        }
        for place, change in enumerate(several.changes):
            expected = change.all if population == "all" else change.families[population]
            assert drawn[f"{population}:born:{place}"] == expected.born
            assert drawn[f"{population}:stayed:{place}"] == expected.stayed
            assert drawn[f"{population}:died:{place}"] == -expected.died
    assert any(change.all.born and change.all.died for change in several.changes)
    lines = {str(line.get_gid()): np.asarray(line.get_xydata()).tolist() for line in retention.figure.axes[0].lines}
    first = several.retention[0]
    assert lines["alive:0"] == [[0, 1.0], *([7 * (k + 1), share] for k, share in enumerate(first.share))]
    assert lines["throughout:0"][1:] == [[7 * (k + 1), share] for k, share in enumerate(first.throughout_share)]
    assert lines["alive:2"] == [[0, 1.0], [7, several.retention[2].share[0]]]


def test_one_run_has_no_figures_across_runs() -> None:
    assert list(figures_across(results(town()))) == []


def test_of_a_part_of_the_space_no_figure_counts_packets() -> None:
    within = Within(("10.0.0.0/16",), Intervals.from_bounds([BASE], [BASE + 65535]))
    part = run_of(town(), Scope(within=within), timeline=TOWN.manifest.timeline, lag=TOWN.manifest.lag)
    assert set(DRAWN) - set(figures(part)) == {"lag", "timeline"}


@pytest.mark.parametrize(
    ("population", "left_out"),
    [
        (SILENCE, {"patterns"}),
        (FIFTEEN, {"patterns"}),
        (NO_PROBES, {"patterns", "figure-4", "figure-5"}),
    ],
    ids=["silence", "fifteen-probes", "no-probes"],
)
def test_what_answers_nothing_is_drawn_too(population: Population, left_out: set[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = figures(run_of(population))
        for drawing in drawn.values():
            assert drawing.rendered("svg").startswith(b"<?xml")
            assert drawing.rendered("png").startswith(b"\x89PNG")
    for name in DRAWN:
        if name not in ("lag", "timeline"):
            assert (name in drawn) != any(name.startswith(prefix) for prefix in left_out), name


def test_the_same_results_give_the_same_bytes() -> None:
    for first, again in zip(figures_of(TOWN), figures_of(full()), strict=True):
        for form in ("svg", "png"):
            assert first.rendered(form) == again.rendered(form) == first.rendered(form), first.name


def test_pictures_show_neither_date_nor_version_and_need_no_other_file() -> None:
    for drawing in DRAWN.values():
        svg = drawing.rendered("svg").decode()
        assert "dc:date" not in svg
        assert "matplotlib.org" not in svg.lower()
        assert not re.search(r"(?:xlink:)?href=\"(?!#|data:)", svg)
        assert ET.fromstring(svg).tag == f"{SVG}svg"  # noqa: S314 - our own
        assert b"matplotlib" not in drawing.rendered("png").lower()


def test_heights_in_the_svg_are_in_proportion() -> None:
    """Read back as a browser would: from the paths of the picture itself."""
    drawing = DRAWN["figure-4a-ports-answered"]
    root = ET.fromstring(drawing.rendered("svg"))  # noqa: S314 - our own
    tall = {}
    for group in root.iter(f"{SVG}g"):
        gid = group.get("id", "")
        path = group.find(f"{SVG}path")
        if re.fullmatch(r"(SYN-ACK only|RST only|both):\d", gid) and path is not None:
            rows = [float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", path.get("d", ""))]
            tall[gid] = max(rows) - min(rows)
    expected = heights(drawing)
    assert tall.keys() == expected.keys()
    scale = max(tall.values()) / max(expected.values())
    for gid, height in tall.items():
        assert height == pytest.approx(expected[gid] * scale, abs=0.01)


@pytest.mark.parametrize("runs", [1, 4])
def test_no_word_is_cut_or_covers_another(runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for drawing in DRAWN.values() if runs == 1 else figures_across(results(*weekly(runs))):
        every_word_is_legible(drawing, monkeypatch)


def test_every_picture_says_in_words_what_it_shows() -> None:
    for drawing in DRAWN.values():
        assert re.search(r"\d", drawing.alt), drawing.name
        assert drawing.alt.endswith(".")
        assert drawing.notes
    assert "ICMP 64.7% of which unique 1.4%" in DRAWN["figure-2a-coverage-addresses"].alt


def test_parts_differ_by_hatch_and_hatches_by_each_other() -> None:
    assert len(set(HATCHES)) == len(HATCHES) == max(len(REPLY_PARTS), len(CATEGORY_PARTS))
    by_part: dict[str, set[str | None]] = {}
    for gid, patch in bars(DRAWN["figure-3b-error-categories"]).items():
        by_part.setdefault(gid.split(":")[0], set()).add(patch.get_hatch())
    assert sorted(str(*entry) for entry in by_part.values()) == sorted(str(hatch) for hatch in HATCHES)


def test_names_are_drawn_with_the_letters_there_are() -> None:
    assert drawable("weekly 5 ü $x$") == "weekly 5 ü $x$"
    assert drawable("名前\n\x00") == "????"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        several = results(
            *[entry.__class__(**{**vars(entry), "run_id": HOSTILE + entry.run_id}) for entry in weekly(2)]
        )
        for drawing in figures_across(several):
            drawing.rendered("svg")


def test_the_font_is_the_one_that_comes_along() -> None:
    with styled():
        texts = DRAWN["lag"].figure.findobj(Text)
        assert {text.get_fontname() for text in texts} == {FONT}


def test_lines_that_coincide_are_all_seen() -> None:
    for axes in DRAWN["timeline"].figure.axes:
        lines = list(axes.patches)
        widths = [line.get_linewidth() for line in lines]
        assert widths == sorted(widths, reverse=True)
        assert len(set(widths)) == len(widths)
        assert all(line.get_linestyle() != "solid" for line in lines[1:]), "what lies above has gaps"
        assert len({str(line.get_edgecolor()) for line in lines}) == len(lines)


def test_heat_maps_have_no_empty_bands() -> None:
    for name in ("figure-5-conditional-replies", "figure-5-conditional-replies-and-errors"):
        figure = DRAWN[name].figure
        drawn = figure.get_tightbbox()
        assert drawn.y0 >= 0
        assert drawn.x0 >= 0
        assert figure.get_figheight() - drawn.y1 < 0.25
        assert drawn.y0 < 0.25


def test_no_grid_runs_through_the_numbers_of_patterns() -> None:
    [top, *_] = DRAWN["patterns"].figure.axes
    numbers = [text for text in top.texts if (text.get_gid() or "").startswith("number:")]
    assert numbers
    for number in numbers:
        box = number.get_bbox_patch()
        assert box is not None
        assert box.get_facecolor()[:3] == (1.0, 1.0, 1.0)
        assert number.get_window_extent().y1 < top.get_window_extent().y1


def test_a_run_that_talked_to_services_has_its_layers(tmp_path: Path) -> None:
    """Two layers more than others have: drawing them needs as many colours and hatches."""
    layers = bars(figures(analyze_runs([talked(tmp_path)]).runs[0])["figure-1-funnel"])
    assert list(layers)[-2:] == ["layer:tcp_application_active", "layer:tcp_application_alive"]


def test_bars_of_a_ports_funnel_are_shares_of_its_syn_acks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = figures(analyze_runs([talked(tmp_path)]).runs[0])["applications-funnel"]
    drawn = {gid.split("\n")[0]: bar.get_height() for gid, bar in bars(drawing).items()}
    assert drawn == pytest.approx(
        {
            "SYN-ACK:22": 1,
            "acknowledges:22": 2 / 4,
            "speaks:22": 2 / 4,
            "speaks the protocol:22": 2 / 4,
            "SYN-ACK:80": 1,
            "acknowledges:80": 4 / 5,
            "speaks:80": 3 / 5,
            "speaks the protocol:80": 1 / 5,
        }
    )
    marked = [height for _, height in marks(drawing.figure.axes[0])]  # LZR has port 80 and not 22
    assert marked == pytest.approx([55 / 62.6, (54.66 + 0.238) / 62.6, 54.66 / 62.6])
    every_word_is_legible(drawing, monkeypatch)
