"""A census that talks in a lab that loses packets, with three senders, as a user takes it: `lab check` agrees."""

import json
from pathlib import Path

import pytest

from liveness.lab.services.behaviours import LABELS, PORTS
from liveness.space.addresses import format_address
from tests.census.support import EXEC, LIVENESS, Census, run, write_yaml
from tests.lab.model.services.support import open_somewhere

pytestmark = pytest.mark.lab

POPULATION = Path(__file__).parents[4] / "liveness/lab/model/populations/paper.yaml"
TIMEOUT_S = 280


def sections(text: str, **changed: object) -> str:
    """Return the text of a population with other sections."""
    for name, section in changed.items():
        lines = text.splitlines(keepends=True)
        begin = lines.index(f"{name}:\n")
        end = next(at for at in range(begin + 1, len(lines)) if not lines[at].startswith(" "))
        text = "".join([*lines[:begin], f"{name}: {json.dumps(section)}\n", *lines[end:]])
    return text


def test_lab_check_judges_every_kind(tmp_path: Path) -> None:
    network = {"latency": {"median": "20ms", "sigma": 0.5, "jitter": "2ms"}, "loss": 0.2, "duplicates": 0.05}
    services = {"ports": {"tcp": dict.fromkeys(LABELS, 1)}}
    population = tmp_path / "population.yaml"
    population.write_text(sections(POPULATION.read_text(), network=network, services=services))
    targets = tmp_path / "targets.txt"
    targets.write_text("".join(f"{format_address(address)}\n" for address in open_somewhere(1000)))
    config = {
        "name": "talks",
        "seed": 73,
        "targets": {"allow": [str(targets)]},
        "probes": ["icmp", *(f"tcp/{port}" for port in PORTS.values())],
        "applications": list(PORTS),
        "talk": {"wait": "3s"},
        "senders": 3,
        "rate": "1kpps",
        "block_prefix": 1,
        "retransmit": {"attempts": 2, "queue": 500},
        "probe_spacing": "10ms",
        "cooldown": "2s",
        "contact": "tests of liveness, no real network",
        "output": str(tmp_path),
    }
    scan = [*LIVENESS, "scan", "-q", "-C", str(write_yaml(tmp_path / "talks.yaml", config))]
    done = run(*EXEC, "--internet", population, "--", *scan, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    census = Census(Path(done.stdout.strip()))
    checked = run(*LIVENESS, "lab", "check", "--json", census.path)
    document = json.loads(checked.stdout)
    assert (checked.returncode, document["equal"]) == (0, True), document
    keys = {(key["probe"], key["kind"]): key for key in document["keys"] if key["role"] == "target"}
    kinds = {"answer", "payload", "closed", "mute", "zero-window"}
    for port in PORTS.values():
        wanted = kinds if port in (22, 23) else kinds | {"acked"}
        assert {kind for probe, kind in keys if probe == f"tcp/{port}"} >= wanted
        assert all(keys[f"tcp/{port}", kind]["found"] > 0 for kind in wanted)
    assert sum(keys[f"tcp/{port}", "answer"]["lost"] for port in PORTS.values()) > 0
    assert census.manifest.talk["refused"] == census.manifest.talk["lost_events"] == 0  # type: ignore[index]
