"""A census of the scanner's own LAN and of what lies behind its router: sets, counts, the kernel's own table."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyroaring import BitMap

from liveness.space.addresses import parse_address
from liveness.system.namespace import Namespace
from tests.census.support import LIVENESS, Census, run, write_yaml
from tests.net.lan import ip, lan
from tests.net.support import in_private_network

PATIENCE_S = 90
SCANNER, ROUTER = "9.9.8.2", "9.9.8.1"
HOSTS = [ROUTER, "9.9.8.10", "9.9.8.11", "9.9.8.77", "9.9.8.200"]
THERE = BitMap(parse_address(host) for host in HOSTS)
ROUTED = BitMap(range(parse_address("9.9.9.0"), parse_address("9.9.9.0") + 256))
NEAR = 254
"""Targets on the LAN: neither the scanner nor the broadcast address."""
CONFIG = {
    "name": "lan",
    "seed": 5,
    "targets": {"allow": ["9.9.8.0/23"]},
    "contact": "https://example.org/scan",
    "probes": ["icmp", "tcp/80"],
    "control": False,
    "rate": "1kpps",
    "probe_spacing": "5ms",
    "retransmit": {"attempts": 2, "queue": 50},
    "cooldown": "1s",
    "network": {"arp_rate": "2kpps"},
}


@contextmanager
def network() -> Iterator[list[Namespace]]:
    """Yield the hosts of a LAN, of which the first is a router that answers for 9.9.9.0/24 too."""
    with lan(HOSTS, SCANNER) as hosts:

        def answer_for_the_routed() -> None:
            ip("route", "add", "local", "9.9.9.0/24", "dev", "lo")

        hosts[0].run(answer_for_the_routed)
        ip("route", "add", "9.9.9.0/24", "via", ROUTER)
        yield hosts


def scan(folder: Path, *flags: str, **changes: object) -> "subprocess.CompletedProcess[str]":
    return run(*LIVENESS, "scan", "-C", write_yaml(folder / "c.yaml", CONFIG | changes), *flags, cwd=folder)


def running(folder: Path, **changes: object) -> "subprocess.Popen[str]":
    """Start a scan that tells how far it is."""
    command = [*LIVENESS, "scan", "-C", str(write_yaml(folder / "c.yaml", CONFIG | changes))]
    command += ["--status-file", str(folder / "status")]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_sent(folder: Path, frames: int) -> None:
    """Wait until a scan has sent so many frames."""
    deadline = time.monotonic() + PATIENCE_S
    status = folder / "status"
    while not (status.exists() and any(json.loads(line)["sent"] > frames for line in status.read_text().splitlines())):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def only_run(folder: Path) -> Census:
    (manifest,) = folder.glob("sets/*/*/manifest.json")
    return Census(manifest.parent)


def check(found: Census) -> None:
    """Check for the truth of the whole network, and for honest counts."""
    manifest = found.manifest
    assert manifest.status == "complete"
    assert found.union({"icmp"}, {"echo-reply"}, "direct") == THERE | ROUTED
    assert found.union({"tcp/80"}, {"rst"}, "source") == THERE | ROUTED
    assert manifest.targets == NEAR + 256
    assert manifest.transmit.unresolved == NEAR - len(HOSTS)
    for probe in manifest.probes.values():
        assert probe.sent == [len(HOSTS) + 256] * 2


@pytest.mark.lab
def test_those_on_the_lan_are_probed_directly_and_the_others_by_the_router(tmp_path: Path) -> None:
    @in_private_network
    def inside() -> None:
        with network():
            done = scan(tmp_path)
            assert done.returncode == 0, done.stderr
            assert "neighbours on s0: 5 of 254 targets answer ARP" in done.stderr
            check(only_run(tmp_path))
            shown = subprocess.run(["ip", "-j", "neigh"], check=True, capture_output=True, text=True).stdout
            known = {entry["dst"] for entry in json.loads(shown) if ":" not in entry["dst"]}
            assert known <= set(HOSTS)  # nobody who is not there: the kernel was asked for none of them

    inside()


@pytest.mark.lab
def test_a_lan_without_a_router(tmp_path: Path) -> None:
    @in_private_network
    def inside() -> None:
        with network():
            done = scan(tmp_path, "9.9.8.0/24", "-p", "icmp")
            assert done.returncode == 0, done.stderr
            found = only_run(tmp_path)
            assert found.union({"icmp"}, {"echo-reply"}, "direct") == THERE
            assert found.manifest.targets == NEAR
            assert found.manifest.probes["icmp"].sent == [len(HOSTS)] * 2

    inside()


@pytest.mark.lab
def test_a_sample_asks_for_no_more_than_it_probes(tmp_path: Path) -> None:
    @in_private_network
    def inside() -> None:
        with network():
            done = scan(tmp_path, "9.9.8.0/24", "-n", "10%")
            assert done.returncode == 0, done.stderr
            assert "of 25 targets answer ARP" in done.stderr
            manifest = only_run(tmp_path).manifest
            alive = only_run(tmp_path).union({"icmp"}, {"echo-reply"}, "direct")
            assert manifest.transmit.unresolved == 25 - len(alive)

    inside()


@pytest.mark.lab
def test_a_run_that_is_resumed_looks_for_neighbours_again_and_counts_what_it_sent(tmp_path: Path) -> None:
    @in_private_network
    def inside() -> None:
        with network():
            with running(tmp_path, rate="150pps") as process:
                wait_sent(tmp_path, 100)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=PATIENCE_S)
            before = only_run(tmp_path).manifest.probes["icmp"].sent[0]
            assert 0 < before < len(HOSTS) + 256
            done = run(*LIVENESS, "scan", "--resume", only_run(tmp_path).path, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert "neighbours on s0: 5 of 254 targets answer ARP" in done.stderr
            check(only_run(tmp_path))

    inside()


@pytest.mark.lab
def test_neighbours_stay_where_they_are_when_the_router_gets_another_mac(tmp_path: Path) -> None:
    """In mid-run: the new table of next hops has them too, and what went to the old router is repaired."""

    @in_private_network
    def inside() -> None:
        with network() as hosts:
            with running(tmp_path, rate="100pps", probes=["icmp"], retransmit={"attempts": 1}) as process:
                wait_sent(tmp_path, 50)
                hosts[0].run(lambda: ip("link", "set", "h1", "address", "02:00:00:00:99:99"))
                _, said = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, said
            assert "02:00:00:00:99:99" in said
            last = json.loads((tmp_path / "status").read_text().splitlines()[-1])
            assert last["planned"] == len(HOSTS) + 256
            assert only_run(tmp_path).union({"icmp"}, {"echo-reply"}, "direct") == THERE | ROUTED

    inside()


@pytest.mark.lab
@pytest.mark.parametrize("speaks", [False, True], ids=["silently", "announced"])
def test_a_host_of_the_lan_that_gets_another_mac_is_found_again(tmp_path: Path, speaks: bool) -> None:
    """Whether it says so by gratuitous ARP or not; what went to the old address is sent again."""

    @in_private_network
    def inside() -> None:
        with network() as hosts:
            changes = {"rate": "25pps", "probes": ["icmp"], "probe_spacing": "1ms", "retransmit": {"attempts": 1}}

            def move() -> None:
                Path("/proc/sys/net/ipv4/conf/h4/arp_notify").write_text(str(int(speaks)))
                ip("link", "set", "h4", "address", "02:00:00:00:77:77")

            with running(tmp_path, **changes) as process:
                wait_sent(tmp_path, 5)
                hosts[3].run(move)
                _, said = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, said
            assert "neighbour 9.9.8.77: 02:00:00:00:00:04 became 02:00:00:00:77:77" in said
            assert only_run(tmp_path).union({"icmp"}, {"echo-reply"}, "direct") == THERE | ROUTED
            (event,) = [event for event in only_run(tmp_path).manifest.path if event.action == "redirected"]
            assert (event.what, event.targets) == ("neighbour", 1)
            assert only_run(tmp_path).manifest.transmit.repaired <= 2, "to nobody else"

    inside()


@pytest.mark.lab
def test_more_than_can_be_asked_are_refused(tmp_path: Path) -> None:
    @in_private_network
    def inside() -> None:
        with network():
            ip("addr", "add", "8.8.0.1/15", "dev", "s0")
            done = scan(tmp_path, "8.8.0.0/15")
            assert done.returncode == 2
            assert "131,070 targets" in done.stderr
            assert "at most 65,536 are asked for by ARP" in done.stderr
            assert not list(tmp_path.glob("sets/*/*/manifest.json"))

    inside()
