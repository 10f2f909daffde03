"""Damaged results of a passive run: one line names the place in the document, before anything is drawn."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveness.errors import LivenessError
from liveness.lab.traffic.labels import judge_passive_run
from liveness.passive.manifest import load_results
from liveness.report.passive.page import passive_page
from liveness.report.passive.tables import passive_tables
from tests.fuzzing.kinds.passive import finished
from tests.passive.test_command import liveness


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("passive")
    finished(folder)
    return folder / "run"


def drop(key: str) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        del tree[key]

    return change


def put(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        tree[key] = value

    return change


CHANGES: list[tuple[str, Callable[[dict[str, Any]], None], str]] = [
    ("combinations.0", drop("rules"), "$.combinations[0].rules: missing"),
    ("combinations.0", put("signs", {"x": 1}), "$.combinations[0].signs"),
    ("services.0", put("clients_failed", "5"), "$.services[0].clients_failed"),
    ("services.0", put("failed_share", 1e300), "$.services[0].failed_share"),
    ("totals.classes", drop("Bogon"), "$.totals: classes: Bogon is missing"),
    ("totals", put("signs", {}), "$.totals.signs"),
    ("intervals.0", put("start", "9999-01-01T00:00:00Z"), "$.intervals[0]: '9999-01-01T00:00:00Z' is no time"),
    ("intervals.0", put("start", "today"), "$.intervals[0]: "),
    ("intervals.0.ports", put("tcp/80", 1 << 62), "$.intervals[0].ports"),
    ("", put("outages", [{"start": "", "end": "", "services": [], "clients": 1}]), "$.outages[0]"),
    ("", put("interval_s", 0), "$.interval_s"),
    ("", put("exporters", [{"exporter": "a"}]), "$.exporters[0].records: missing"),
    ("symmetry", put("verdict", None), "$.symmetry.verdict"),
    ("", put("sources", {"../../x": []}), "$: origins are country or asn, not '../../x'"),
    ("", put("services_by_origin", {"/x": []}), "$: origins are country or asn, not '/x'"),
]


@pytest.mark.parametrize(("place", "change", "words"), CHANGES, ids=[words for _, _, words in CHANGES])
def test_a_value_of_another_shape_is_named(
    run: Path, tmp_path: Path, place: str, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    tree = json.loads((run / "passive.json").read_bytes())
    below: Any = tree
    for step in filter(None, place.split(".")):
        below = below[int(step) if step.isdigit() else step]
    change(below)
    (tmp_path / "manifest.json").write_bytes((run / "manifest.json").read_bytes())
    (tmp_path / "passive.json").write_text(json.dumps(tree))
    with pytest.raises(LivenessError) as caught:
        load_results(tmp_path)
    assert words in str(caught.value)


def test_the_command_prints_one_line(run: Path, tmp_path: Path) -> None:
    tree = json.loads((run / "passive.json").read_bytes())
    tree["combinations"] = [5]
    (tmp_path / "manifest.json").write_bytes((run / "manifest.json").read_bytes())
    (tmp_path / "passive.json").write_text(json.dumps(tree))
    done = liveness("passive", "report", tmp_path, code=1)
    assert done.stderr.count("\n") == 1
    assert "$.combinations[0]" in done.stderr


def test_what_a_run_writes_is_read(run: Path) -> None:
    document = load_results(run)
    assert list(passive_tables(document))
    assert "<svg" in passive_page(document) or "<img" in passive_page(document)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"x": ' + b"[" * 5000, r"truth\.json: not JSON"),
        (b"5", r"truth\.json: \$: "),
        (b'{"services": "\xff"}', r"truth\.json: "),
    ],
)
def test_a_truth_about_traffic_that_is_no_document(run: Path, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "truth.json").write_bytes(content)
    with pytest.raises(LivenessError, match=words):
        judge_passive_run(run, tmp_path)
