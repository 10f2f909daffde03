"""Outcomes of talks in the analysis: counts by port equal the sets, and other runs have none of them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyroaring import BitMap

from liveness.analysis.document import document
from liveness.analysis.results import analyze_runs
from liveness.config.model import from_document, to_record
from liveness.replies import Kind, ReplyKey, SetKey, roles_of
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.rundir import RunDirectory

SETS: dict[tuple[str, Kind], set[int]] = {
    ("tcp/22", Kind.SYN_ACK): {1, 2, 3, 4},
    ("tcp/22", Kind.ANSWER): {1, 2},
    ("tcp/22", Kind.MUTE): {3},
    ("tcp/22", Kind.CLOSED): {4},
    ("tcp/80", Kind.SYN_ACK): {2, 5, 6, 7, 8},
    ("tcp/80", Kind.ZERO_WINDOW): {5},
    ("tcp/80", Kind.ACKED): {6},
    ("tcp/80", Kind.PAYLOAD): {7, 8},
    ("tcp/80", Kind.ANSWER): {2},
    ("dns", Kind.ANSWER): {1, 9},
    ("dns", Kind.PAYLOAD): {1, 7},
}


def run_of(folder: Path, applications: list[str]) -> RunDirectory:
    """Write a complete run with these sets."""
    probes = ["tcp/22", "tcp/80", "dns"]
    targets = {"allow": ["10.0.0.0/24"]}
    config = from_document({"name": "talked", "targets": targets, "probes": probes, "applications": applications})
    directory = RunDirectory.create(folder, "talked", "run")
    entries = [
        directory.write_set(SetKey(ReplyKey(probe, kind), role), BitMap(members))
        for (probe, kind), members in SETS.items()
        for role in roles_of(kind)
        if applications or not ReplyKey(probe, kind).of_talk
    ]
    directory.write_manifest(
        Manifest(
            name="talked",
            run_id="run",
            status="complete",
            seed=0,
            config=to_record(config),
            started="2026-11-27T00:00:00Z",
            finished="2026-11-27T00:01:00Z",
            targets=256,
            probes={probe: ProbeCounts(sent=[256, 256]) for probe in probes},
            sets=entries,
        )
    )
    return directory


def analysed(directory: RunDirectory) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(analyze_runs([directory]))["runs"][0]))
    return found


def test_outcomes_are_counted_by_port(tmp_path: Path) -> None:
    run = analysed(run_of(tmp_path, ["ssh", "http"]))
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
    run = analysed(run_of(tmp_path, []))
    assert part not in run
    assert part not in run["taxonomy"]


@pytest.mark.parametrize("odd", [5, True, "http", {"http": 1}, [5, ["http"]]])
def test_a_manifest_with_odd_applications_talked_to_nobody(tmp_path: Path, odd: object) -> None:
    directory = run_of(tmp_path, ["http"])
    manifest = directory.read_manifest()
    directory.write_manifest(msgspec.structs.replace(manifest, config=manifest.config | {"applications": odd}))
    assert "applications" not in analysed(directory)
