"""Adding a probe to scanner and lab: censuses of real hosts and of the model Internet, judged by the lab."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from liveness.lab.model.population.load import load_population
from liveness.lab.model.population.truth import truth
from liveness.replies import Kind, Role
from liveness.space.addresses import format_address
from tests.census.support import write_yaml
from tests.lab.model.responder.support import sample
from tests.probes.adding import add_twin, copy_with_probe, run_in

pytestmark = pytest.mark.lab

HOSTS = """
name: added
networks:
  - {name: echoes, kind: host, prefixes: [10.1.0.0/28], services: {udp/7: answer}}
  - {name: words, kind: host, prefixes: [10.1.0.16/28], services: {udp/7: payload}}
  - {name: closed, kind: host, prefixes: [10.1.0.32/30]}
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the package, to whose scanner and lab the probe is added."""
    folder = copy_with_probe(tmp_path_factory.mktemp("copy"))
    add_twin(folder)
    return folder


def judged(copy: Path, folder: Path, internet: list[str], **changes: object) -> tuple[Path, dict[str, Any]]:
    """Take a census in a lab of a copy; return its run directory and the judgement of `lab check`."""
    config = {
        "name": "added",
        "probes": ["icmp", "udp/7"],
        "rate": "200pps",
        "retransmit": {"attempts": 1, "queue": 10},
        "probe_spacing": "10ms",
        "cooldown": "2s",
        "contact": "tests of liveness, no real network",
        "network": {"source_ports": "61000-65000"},
        "output": str(folder),
    }
    path = write_yaml(folder / "added.yaml", config | changes)
    inside = ["--", sys.executable, "-m", "liveness", "scan", "-q", "-C", str(path)]
    done = run_in(copy, "-m", "liveness", "lab", "exec", *internet, *inside)
    assert (done.returncode, done.stderr) == (0, "")
    run = Path(done.stdout.strip())
    named = internet[:2] if internet[1] != "paper" else []
    checked = run_in(copy, "-m", "liveness", "lab", "check", "--json", *named, str(run))
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    return run, json.loads(checked.stdout)


def members(run: Path) -> dict[str, int]:
    """Return how many targets replied to the added probe, by kind of reply."""
    sets = json.loads((run / "manifest.json").read_text())["sets"]
    return {
        entry["kind"]: entry["cardinality"] for entry in sets if (entry["probe"], entry["role"]) == ("udp/7", "target")
    }


def test_real_hosts_answer_an_added_probe_as_the_lab_says(copy: Path, tmp_path: Path) -> None:
    internet = tmp_path / "hosts.yaml"
    internet.write_text(HOSTS)
    run, document = judged(copy, tmp_path, ["--internet", str(internet), "--plain"], targets={"allow": ["10.1.0.0/26"]})
    assert document["equal"]
    assert members(run) == {"answer": 16, "payload": 16, "error": 4}


def test_the_model_answers_an_added_probe_as_its_truth_says(copy: Path, tmp_path: Path) -> None:
    """The twin follows DNS, so the truth for DNS, of this package, says what the copy has to find."""
    expected: dict[str, int] = {}
    targets: list[int] = []
    for key, found in truth(load_population(), sample(), ["dns"]).items():
        if key.role is Role.TARGET and key.reply.kind in (Kind.ANSWER, Kind.PAYLOAD, Kind.ERROR):
            chosen = list(found)[:40]
            targets += chosen
            label = key.reply.kind.label
            expected[label] = expected.get(label, 0) + len(chosen)
    allowed = [format_address(one) for one in sorted(targets)]
    run, document = judged(copy, tmp_path, ["--internet", "paper", "--ideal"], targets={"allow": allowed})
    assert document["equal"]
    assert {one["recall"] for one in document["keys"]} == {one["precision"] for one in document["keys"]} == {1.0}
    assert document["model"]["malformed"] == {}
    found_by_kind = members(run)
    assert set(found_by_kind) == {"answer", "payload", "error"}
    assert found_by_kind["answer"] == expected["answer"]
    assert found_by_kind["payload"] == expected["payload"]
