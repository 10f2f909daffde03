"""`rate: auto` in the lab: it finds what a policer lets pass, and loses nothing where nothing is in its way."""

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from liveness.lab.hosts.check import check_run
from liveness.lab.load import load_internet
from liveness.lab.tools import find_tools
from tests.census.support import EXEC, LIVENESS, ROOT, Census, clean_environment, lab_config, write_yaml

pytestmark = pytest.mark.lab

LAB: Final = """
name: policed
networks:
  - {name: hosts, kind: host, prefixes: [10.64.0.0/16], listen: [80]}
"""
ALIVE: Final = 1 << 16
POLICED_PPS: Final = 6_000
"""What the core router lets pass, all probes together."""
CONFIG: Final[dict[str, object]] = {
    "name": "policed",
    "seed": 3,
    "targets": {"allow": ["10.64.0.0/15", "10.66.0.0/16"]},  # a third of it is alive
    "probes": ["icmp", "tcp/80"],
    "control": False,
    "retransmit": {"attempts": 1},
    "cooldown": "1s",
}


def scan(folder: Path, name: str, lab: list[str], config: dict[str, Any], *flags: str) -> tuple[Census, str]:
    """Scan in a lab; return the run and what was said on standard error."""
    file = write_yaml(folder / f"{name}.yaml", config | {"output": str(folder)})
    command = [*lab, *LIVENESS, "scan", "-C", str(file), "--run-id", name, *flags]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    return Census(Path(done.stdout.strip())), done.stderr


@pytest.mark.slow
def test_a_policed_network_is_found_out(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001 - for its effect
    """A fixed rate of eight times as much loses most replies; the search ends below the limit and loses few."""
    internet = tmp_path / "policed.lab.yaml"
    internet.write_text(LAB)
    lab = [sys.executable, "-m", "tests.census.policed", str(internet), str(POLICED_PPS)]
    fixed, _ = scan(tmp_path, "fixed", lab, CONFIG, "-r", "24kpps")
    found, said = scan(tmp_path, "found", lab, CONFIG, "-r", "auto")
    answered = {
        run.path.name: [sum(run.manifest.attempts[probe].values()) / ALIVE for probe in ("icmp", "tcp/80")]
        for run in (fixed, found)
    }
    assert max(answered["fixed"]) < 0.6, answered
    assert min(answered["found"]) > 0.88, answered
    assert fixed.manifest.rate_search is None
    search = found.manifest.rate_search
    assert search is not None
    assert 0.5 <= search.found_pps * 2 / POLICED_PPS <= 1.1, search
    assert (search.limited_by, search.limit_pps) == ("fell", 100_000)
    fell = next(step for step in search.steps if step.verdict == "fell")
    assert fell.ratio_high is not None
    assert fell.ratio_high < 0.98
    assert fell.rate_pps * 2 > POLICED_PPS
    assert f"{search.found_pps:,.0f} packets/s of each probe" in said
    assert "more causes loss" in said


def test_a_search_without_a_limit_in_its_way_loses_nothing(compiled: None, tmp_path: Path) -> None:  # noqa: ARG001
    config = lab_config(name="auto", rate="auto", rate_limit="4kpps")
    census, said = scan(tmp_path, "auto", [*EXEC, "--"], config)
    comparison = check_run(census.path, find_tools().fit(load_internet()))
    assert comparison.differences == []
    manifest = census.manifest
    search = manifest.rate_search
    assert search is not None
    assert 500 <= search.found_pps <= 4_000
    assert all(step.verdict == "holds" for step in search.steps)
    assert manifest.config["rate"] == "auto"
    assert manifest.rate_changes == []
    for counts in manifest.probes.values():
        assert counts.sent == [manifest.targets] * 2
    assert "rate found: " in said
