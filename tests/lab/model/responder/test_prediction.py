"""What `lab predict` says of a census is what a census of the model Internet brings home."""

import json
from typing import Any

import pytest

from tests.census.support import LIVENESS, Census, run, write_yaml
from tests.lab.model.responder.test_census import scan

pytestmark = pytest.mark.lab

PREFIXES = 48


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Census]:
    """Return the prediction for a census of whole /24s, and that census without loss."""
    folder = tmp_path_factory.mktemp("predicted")
    (folder / "sample.txt").write_text(run(*LIVENESS, "lab", "sample", "--prefixes", str(PREFIXES)).stdout)
    document = {
        "name": "model",
        "targets": {"allow": [str(folder / "sample.txt")]},
        "rate": "4kpps",
        "block_prefix": 1,
        "retransmit": {"attempts": 2, "queue": 1000},
        "probe_spacing": "10ms",
        "cooldown": "1s",
        "contact": "tests of liveness, no real network",
        "network": {"source_ports": "61000-65000"},
        "output": str(folder),
        "replies": "both",
    }
    path = write_yaml(folder / "model.yaml", document)
    done = run(*LIVENESS, "lab", "predict", "--json", path)
    assert (done.returncode, done.stderr) == (0, "")
    prediction: dict[str, Any] = json.loads(done.stdout)
    return prediction, scan("--ideal", config_file=path)


def test_the_sets_are_those_predicted(predicted: tuple[dict[str, Any], Census]) -> None:
    prediction, census = predicted
    assert prediction["exact"]
    assert prediction["targets"] == census.manifest.targets == 256 * PREFIXES
    expected = {
        (entry["probe"], entry["kind"], entry["icmp_type"], entry["icmp_code"], entry["role"]): (
            entry["cardinality"],
            entry["bytes"],
        )
        for entry in prediction["sets"]
    }
    found = {
        (entry.probe, entry.kind, entry.icmp_type, entry.icmp_code, str(entry.role)): (
            entry.cardinality,
            (census.path / entry.file).stat().st_size,
        )
        for entry in census.manifest.sets
    }
    assert found == expected
    assert len(found) > 50


def test_as_many_replies_come_as_predicted(predicted: tuple[dict[str, Any], Census]) -> None:
    prediction, census = predicted
    replies = {probe: entry["replies"] for probe, entry in prediction["probes"].items()}
    assert {probe: sum(counts.values()) for probe, counts in census.manifest.messages.items()} == replies
    assert sum(sum(counts.sent) for counts in census.manifest.probes.values()) == prediction["packets"]


@pytest.mark.parametrize(("log", "folder"), [("parquet", "replies"), ("pcap", "pcap")])
def test_logs_are_about_as_large_as_predicted(predicted: tuple[dict[str, Any], Census], log: str, folder: str) -> None:
    prediction, census = predicted
    size = sum(path.stat().st_size for path in (census.path / folder).iterdir() if path.is_file())
    assert 0.6 * prediction["log_bytes"][log] < size < 1.1 * prediction["log_bytes"][log]
