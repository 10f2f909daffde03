"""Outcomes of talks in the analysis: counts by port equal the sets, and other runs have none of them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from liveness.analysis.document import document
from liveness.analysis.results import analyze_runs
from liveness.analysis.tables import printed
from liveness.runs.rundir import RunDirectory
from tests.applications.talked import talked


def analysed(directory: RunDirectory) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(analyze_runs([directory]))["runs"][0]))
    return found


def test_outcomes_are_counted_by_port(tmp_path: Path) -> None:
    run = analysed(talked(tmp_path, ["ssh", "http"]))
    assert run["applications"] == {
        "22": {"syn_ack": 4, "zero_window": 0, "closed": 1, "mute": 1, "acked": 0, "payload": 0, "answer": 2},
        "80": {"syn_ack": 5, "zero_window": 1, "closed": 0, "mute": 0, "acked": 1, "payload": 2, "answer": 1},
    }
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
