"""Scans through live frames: the truth of the model Internet, and an interface that is down in mid-run."""

import sys
from pathlib import Path
from typing import Final

import pytest

from liveness.lab.model.check import check_model_run
from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.record import read_summary
from liveness.net.links import switch_gro_on
from liveness.net.transport import XDP_LIVE
from tests.census.rig import ip, rig
from tests.census.support import LIVENESS, Census, losses_of, run
from tests.census.test_path import begun, whole
from tests.lab.model.responder.test_census import config
from tests.net.support import in_network_of_root

pytestmark = pytest.mark.lab

LAB_OF_ROOT: Final = """
import sys
from liveness.cli.main import run
from liveness.lab import kernel_settings, shell
from liveness.net.links import switch_gro_on
from liveness.system.child import libc
from liveness.system.namespace import CLONE_NEWNET, bring_loopback_up

def enter_network():
    assert libc.unshare(CLONE_NEWNET) == 0
    bring_loopback_up()

def finish_checksums(name, finish=kernel_settings.finish_checksums):
    finish(name)
    switch_gro_on(name)

shell.enter_private_network = enter_network
kernel_settings.finish_checksums = finish_checksums
run()
"""
"""`liveness` with a lab whose root is that of the machine, and whose links take frames of XDP programs."""


@in_network_of_root
def test_a_scan_through_live_frames_finds_the_truth_of_the_model(tmp_path: Path) -> None:
    network = {"source_ports": "61000-65000", "transport": XDP_LIVE}
    file = config(tmp_path, 1 << 13, rate="2kpps", network=network, senders=2, user="root")
    lab = (sys.executable, "-c", LAB_OF_ROOT, "lab", "exec", "--internet", "paper", "--ideal")
    done = run(*lab, "--", *LIVENESS, "scan", "-q", "-C", file, timeout=280)
    assert done.returncode == 0, done.stderr
    census = Census(Path(done.stdout.strip()))
    assert census.manifest.transmit.transport == XDP_LIVE
    comparison = check_model_run(census.path, load_population())
    assert (comparison.targets, comparison.problems, comparison.equal) == (1 << 13, [], True)
    summary = read_summary(census.path)
    assert summary.frames["probe"] == sum(sum(counts.sent) for counts in census.manifest.probes.values())
    assert summary.frames["probe"] == 9 * 2 << 13
    assert summary.malformed == {}
    assert losses_of(census.manifest) == []


@in_network_of_root
def test_a_scan_through_live_frames_survives_what_others_survive(tmp_path: Path) -> None:
    """The gateway gets another MAC address, and the interface goes down."""
    with rig(tmp_path) as built:
        built.far.run(lambda: switch_gro_on("ps0"))
        scan = begun(built, network={"transport": XDP_LIVE}, senders=2, user="root")
        built.far_ip("link", "set", "ps0", "address", "02:00:00:00:00:77")
        scan.wait_sent(0.5)
        ip("link", "set", "s0", "down")
        ip("link", "set", "s0", "up")
        ip("route", "replace", "default", "via", "10.0.1.1")
        whole(scan)
        assert scan.census.manifest.transmit.transport == XDP_LIVE


@in_network_of_root
def test_a_refusal_ends_a_scan_before_its_first_packet(tmp_path: Path) -> None:
    with rig(tmp_path) as built:
        scan = built.scan(network={"transport": XDP_LIVE}, user="root")
        assert scan.finish() == 3
        assert scan.output.startswith("liveness: error: xdp_live on s0")
        assert scan.output.count("\n") == 1
        assert not list(tmp_path.glob("sets/*/*"))
