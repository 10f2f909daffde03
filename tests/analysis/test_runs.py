"""Runs on disk: read, ordered by their starts, compared, and their damage named."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from liveness.analysis.counting.opened import OpenRun, verified_in
from liveness.analysis.counting.run import family_of, warnings_of
from liveness.analysis.counting.scope import Scope
from liveness.analysis.counting.walk import Walk
from liveness.analysis.document import document
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measures.taxonomy import Taxonomy
from liveness.analysis.results import analyze_runs
from liveness.errors import LivenessError
from liveness.replies import Kind
from liveness.runs.finding import find_runs
from tests.analysis import brute_force
from tests.populations import Population, Reply, town


def echoes(first: int, last: int, name: str, started: str) -> Population:
    sent = [Reply("icmp", Kind.ECHO_REPLY, address, address) for address in range(first, last)]
    return Population(sent, name="weekly", run_id=name, started=started)


def test_a_run_on_disk_equals_the_count_over_replies(tmp_path: Path) -> None:
    town().write(tmp_path)
    result = document(analyze_runs(find_runs(tmp_path)))
    assert result == {
        "schema": 1,
        "runs": [brute_force.run_document(town())],
        "changes": [],
        "retention": [],
        "not_compared": [],
    }


def test_runs_are_compared_in_the_order_of_their_starts(tmp_path: Path) -> None:
    echoes(10, 30, "a", "2026-11-23T00:00:00Z").write(tmp_path)
    echoes(0, 20, "b", "2026-11-21T01:00:00+02:00").write(tmp_path)
    echoes(5, 20, "c", "2026-11-21T00:00:00.5Z").write(tmp_path)
    result = document(analyze_runs(find_runs(tmp_path)))
    assert [run["run"] for run in result["runs"]] == ["weekly/b", "weekly/c", "weekly/a"]
    assert [(change["from"], change["to"]) for change in result["changes"]] == [
        ("weekly/b", "weekly/c"),
        ("weekly/c", "weekly/a"),
    ]
    assert [(change["born"], change["died"], change["stayed"]) for change in result["changes"]] == [
        (0, 5, 15),
        (10, 5, 10),
    ]
    assert result["changes"][1]["by_family"] == {
        "icmp": {"born": 10, "died": 5, "stayed": 10},
        "tcp": {"born": 0, "died": 0, "stayed": 0},
        "udp": {"born": 0, "died": 0, "stayed": 0},
    }


@pytest.mark.parametrize(
    ("started", "message"), [("yesterday", "not an ISO 8601 time"), ("2026-11-21", "a time without its zone")]
)
def test_a_start_that_is_no_time_is_named(tmp_path: Path, started: str, message: str) -> None:
    run = echoes(0, 1, "a", started).write(tmp_path)
    with pytest.raises(LivenessError, match=rf"{run.path}: \$\.started: '{started}': {message}"):
        analyze_runs([run])


def test_a_damaged_set_is_named(tmp_path: Path) -> None:
    run = echoes(0, 9, "a", "2026-11-21T00:00:00Z").write(tmp_path)
    (run.path / "sets" / "icmp.echo-reply.source.roaring").write_bytes(b"")
    with pytest.raises(LivenessError, match=r"icmp\.echo-reply\.source\.roaring: damaged"):
        analyze_runs([run])


def test_any_damaged_set_is_named_even_if_no_number_rests_on_it(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    for entry in run.read_manifest().sets[::7]:
        file = run.path / entry.file
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(LivenessError, match=rf"{re.escape(str(file))}: damaged: its SHA-256 is [0-9a-f]{{64}}, "):
            analyze_runs([run])
        file.write_bytes(content)
    analyze_runs([run])


def test_a_missing_set_is_named(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    file = run.path / run.read_manifest().sets[3].file
    file.unlink()
    with pytest.raises(LivenessError, match=rf"{re.escape(str(file))}: cannot read this set: No such file"):
        analyze_runs([run])


def test_a_wrong_cardinality_is_named(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    manifest = run.read_manifest()
    wrong = msgspec.structs.replace(manifest.sets[0], cardinality=1)
    run.write_manifest(msgspec.structs.replace(manifest, sets=[wrong, *manifest.sets[1:]]))
    with pytest.raises(LivenessError, match=r"damaged: it holds \d+ addresses, the manifest says 1$"):
        analyze_runs([run])


def test_a_set_that_changes_under_the_pass_is_named(tmp_path: Path) -> None:
    run = town().write(tmp_path)
    manifest = run.read_manifest()
    with ThreadPoolExecutor(1) as pool:
        opened = OpenRun(manifest, verified_in(run), pool)
        file = run.path / opened.entries[0].file
        file.write_bytes(file.read_bytes() + b"more")
        with pytest.raises(LivenessError, match=rf"{re.escape(str(file))}: changed while it was read"):
            Walk([opened], Scope()).run_all(pool, 1)


@pytest.mark.parametrize(
    ("probe", "family"), [("icmp", "icmp"), ("tcp/80", "tcp"), ("dns", "udp"), ("ntp", "udp"), ("tcp/control", None)]
)
def test_families(probe: str, family: str | None) -> None:
    assert family_of(probe) == family


def test_a_run_that_is_not_whole_is_reported() -> None:
    assert warnings_of(Population([]).manifest()) == []
    [warning] = warnings_of(Population([], status="partial").manifest())
    assert warning.startswith("census/2026-11-21T000000Z: status partial (interrupted): it stopped early")
    assert "status running" in warnings_of(Population([], status="running").manifest())[0]


def test_formulas_are_read_from_annotations() -> None:
    assert list(formulas(Taxonomy)) == list(Taxonomy.__dataclass_fields__)
    assert formulas(Taxonomy)["application_alive"] == "a valid UDP answer"
    assert formulas(Formula) == {}
