"""Scans that capture by an XDP program: the truth of the model Internet and of real hosts."""

import sys
from pathlib import Path
from typing import Final

import pytest

from liveness.lab.model.check import check_model_run
from liveness.lab.model.population.load import load_population
from liveness.net.receiving import XDP
from tests.census.rig import rig
from tests.census.support import LIVENESS, Census, losses_of, run
from tests.census.test_live import LAB_OF_ROOT
from tests.lab.model.responder.test_census import config
from tests.net.support import in_network_of_root, in_private_network

pytestmark = pytest.mark.lab

TARGETS: Final = 1 << 12


@in_network_of_root
def test_a_scan_that_captures_by_xdp_finds_the_truth_of_the_model(tmp_path: Path) -> None:
    """Two receivers share the CPUs."""
    file = config(
        tmp_path,
        TARGETS,
        network={"source_ports": "61000-65000"},
        receive={"capture": XDP, "receivers": 2, "ring_mib": 16},
        user="root",
        replies="parquet",
    )
    lab = (sys.executable, "-c", LAB_OF_ROOT, "lab", "exec", "--internet", "paper", "--ideal")
    done = run(*lab, "--", *LIVENESS, "scan", "-q", "-C", file, timeout=280)
    assert done.returncode == 0, done.stderr
    census = Census(Path(done.stdout.strip()))
    received = census.manifest.receive
    assert (received.capture, received.kernel_drops) == (XDP, 0)
    comparison = check_model_run(census.path, load_population())
    assert (comparison.targets, comparison.problems, comparison.equal) == (TARGETS, [], True)
    assert received.kernel_packets == received.packets > 0
    assert losses_of(census.manifest) == []


@in_private_network
def test_a_refusal_ends_a_scan_before_its_first_packet(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(receive={"capture": XDP})
        assert scan.finish() == 3
        assert scan.output.startswith("liveness: error: capture by XDP on s0: this needs CAP_BPF")
        assert scan.output.count("\n") == 1
        assert not list(tmp_path.glob("sets/*/*"))
