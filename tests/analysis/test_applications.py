"""Outcomes of talks in the analysis: counts by port equal the sets, and other runs have none of them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from liveness.analysis.counting.scope import Scope, Within
from liveness.analysis.document import document
from liveness.analysis.results import analyze_runs
from liveness.analysis.tables import printed
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals
from tests.applications.talked import talked


def analysed(directory: RunDirectory) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(analyze_runs([directory]))["runs"][0]))
    return found


def test_outcomes_are_counted_by_port(tmp_path: Path) -> None:
    run = analysed(talked(tmp_path, ["ssh", "http"]))
    assert {port: list(talks.values()) for port, talks in run["applications"].items()} == {
        "22": [4, 0, 1, 1, 0, 0, 2, {"ssh": 2}],
        "80": [5, 1, 0, 0, 1, 2, 1, {"ssh": 1, "http": 1, "unknown": 1}],
    }
    names = ["syn_ack", "zero_window", "closed", "mute", "acked", "payload", "answer", "protocols"]
    assert [list(talks) for talks in run["applications"].values()] == [names, names]
    taxonomy = run["taxonomy"]
    assert (taxonomy["tcp_application_active"], taxonomy["tcp_application_alive"]) == (4, 2)
    assert (taxonomy["application_active"], taxonomy["application_alive"]) == (3, 2)
    assert (taxonomy["network_alive"], taxonomy["transport_alive"]) == (9, 8)


@pytest.mark.parametrize("part", ["applications", "tcp_application_active", "tcp_application_alive"])
def test_a_run_that_talked_to_nobody_has_no_outcomes(tmp_path: Path, part: str) -> None:
    run = analysed(talked(tmp_path, []))
    assert part not in run
    assert part not in run["taxonomy"]


@pytest.mark.parametrize("odd", [5, True, "http", {"http": 1}, [5, ["http"]]])
def test_a_manifest_with_odd_applications_talked_to_nobody(tmp_path: Path, odd: object) -> None:
    directory = talked(tmp_path, ["http"])
    manifest = directory.read_manifest()
    directory.write_manifest(msgspec.structs.replace(manifest, config=manifest.config | {"applications": odd}))
    assert "applications" not in analysed(directory)


def test_the_funnel_has_a_row_for_each_port_and_stage(tmp_path: Path) -> None:
    (run,) = analyze_runs([talked(tmp_path)]).runs
    (table,) = (table for table in run.tables() if table.id == "applications_funnel")
    stages = ["SYN-ACK", "acknowledges", "speaks", "speaks the protocol"]
    numbers = {"22": [4, 2, 2, 2], "80": [5, 4, 3, 1]}
    expected = [(port, *pair) for port, counts in numbers.items() for pair in zip(stages, counts, strict=True)]
    assert [row[:3] for row in table.rows] == expected
    assert [printed(row[4]) for row in table.rows] == ["-"] * 5 + ["87.9%", "87.7%", "87.3%"]


def test_the_protocols_of_each_port_are_listed_with_lzrs_share(tmp_path: Path) -> None:
    (run,) = analyze_runs([talked(tmp_path)]).runs
    (table,) = (table for table in run.tables() if table.id == "applications_protocols")
    assert [tuple(map(printed, row)) for row in table.rows] == [
        ("22", "ssh", "2", "100.0%", "-"),
        ("80", "ssh", "1", "33.3%", "-"),
        ("80", "http", "1", "33.3%", "99.6%"),
        ("80", "unknown", "1", "33.3%", "-"),
    ]


def test_protocols_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    """Of an older run, and of a part of the targets: the manifest has sums only."""
    directory = talked(tmp_path)
    part = analyze_runs([directory], Scope(within=Within(("0.0.0.0-0.0.0.5",), Intervals.from_bounds([0], [5]))))
    directory.write_manifest(msgspec.structs.replace(directory.read_manifest(), protocols=UNSET))
    for results in (part, analyze_runs([directory])):
        assert "protocols" not in document(results)["runs"][0]["applications"]["22"]
        assert not any(table.id == "applications_protocols" for table in results.runs[0].tables())
