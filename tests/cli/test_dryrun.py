"""The dry run, and a scan of all IPv4 into nowhere: what is shown is what would be sent, and memory stays small."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scapy.layers.dns import DNS
from scapy.layers.inet import ICMP, IP, TCP, UDP

from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network
from tests.cli.support import liveness, without_privilege

ROOT = Path(__file__).parents[2]
SEPT5 = ROOT / "configs" / "sept5.yaml"
RATE_SHOWN = r"(\S+) packets/s in all, (\S+) for each probe, 10 Mbit/s on the wire"
LIMIT_KIB = 300 * 1024
TARGETS = "3,702,258,432"  # all of IPv4 less the packaged special-purpose space


def packets_shown(text: str) -> dict[str, IP]:
    """Return the packets that a dry run prints, read back from their hexadecimal lines."""
    packets: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if re.match(r"  \S", line):
            name = line.split()[0]
            packets[name] = ""
        elif line.startswith("    "):
            packets[name] += line.replace(" ", "")
    return {name: IP(bytes.fromhex(data)) for name, data in packets.items()}


def test_the_papers_census_is_shown_and_nothing_is_left(tmp_path: Path) -> None:
    foreign = {"LIVENESS_NETWORK__FOREIGN_SOURCES": "true"}
    run = liveness("scan", "--config", SEPT5, "--dryrun", "-S", "198.51.100.7", cwd=tmp_path, env=foreign)
    assert (run.code, run.err) == (0, "")
    assert f"{TARGETS} in 7 blocks" in run.out
    assert "9 probes, 2 attempts" in run.out
    first = re.search(r"^order +(\S+),", run.out, re.MULTILINE)
    assert first
    packets = packets_shown(run.out)
    assert list(packets) == ["icmp", *(f"tcp/{port}" for port in (22, 23, 80, 443, 7547)), "dns", "ntp", "tcp/control"]
    for name, packet in packets.items():
        assert (packet.dst, packet.src) == (first[1], "198.51.100.7")
        layer = next(kind for kind in (ICMP, TCP, UDP) if kind in packet)
        right = packet.copy()
        del right.chksum, right[layer].chksum
        assert bytes(right) == bytes(packet), name
    assert packets["tcp/443"][TCP].dport == 443
    assert packets["dns"][DNS].qd[0].qname == b"google.com."
    assert b"https://example.org/scan" in bytes(packets["icmp"])
    assert list(tmp_path.iterdir()) == []


def test_the_order_shown_is_that_of_the_seed(tmp_path: Path) -> None:
    orders = [
        re.search(r"^order.*$", liveness("scan", "-C", SEPT5, "--dryrun", *seed, cwd=tmp_path).out, re.MULTILINE)
        for seed in ([], [], ["-e", "74"])
    ]
    shown = [order[0] for order in orders if order]
    assert len(shown) == 3
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.lab
def test_a_dry_run_needs_no_privilege(tmp_path: Path) -> None:
    run = without_privilege("scan", "--config", SEPT5, "--dryrun", cwd=tmp_path)
    assert (run.code, run.err) == (0, "")
    assert TARGETS in run.out


def test_a_dry_run_of_all_ipv4_takes_little_memory(tmp_path: Path) -> None:
    """Measured by a small process: the peak of a child begins with what its parent held when it was forked."""
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-m", "liveness", "scan", "--config", str(SEPT5), "--dryrun"]
    measured = subprocess.run(
        [sys.executable, "-c", measure, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert int(measured.stdout) < LIMIT_KIB


def peak_kib(pid: int) -> int:
    """Return the peak of a process's own memory, in KiB: what it shares with others (its ring, its files) is theirs."""
    status = Path(f"/proc/{pid}/status").read_text()
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(peak)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.lab
def test_a_scan_of_all_ipv4_takes_little_memory_in_each_process(tmp_path: Path) -> None:
    """Into a veth whose other end has no address and no route: everything is dropped there."""

    def inside() -> tuple[int, dict[int, int], str]:
        enter_private_network()
        from pyroute2 import IPRoute  # noqa: PLC0415 - its threads would forbid the namespace

        with IPRoute() as netlink:
            netlink.link("add", ifname="v0", kind="veth", peer="v1")
            for name in ("v0", "v1"):
                netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="up")
            netlink.addr("add", index=netlink.link_lookup(ifname="v0")[0], address="198.51.100.7", prefixlen=24)
            netlink.route("add", dst="0.0.0.0/0", gateway="198.51.100.1")
        command = [sys.executable, "-m", "liveness", "scan", "-C", str(SEPT5), "-G", "02:00:00:00:00:02", "-T", "2"]
        scan = subprocess.Popen(
            [*command, "-r", "20kpps", "-q"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        while len(children_of(scan.pid)) < 4:
            assert scan.poll() is None, scan.communicate()
            time.sleep(0.05)
        time.sleep(4)
        peaks = {pid: peak_kib(pid) for pid in (scan.pid, *children_of(scan.pid))}
        scan.send_signal(signal.SIGINT)
        _, complaints = scan.communicate(timeout=60)
        return scan.returncode, peaks, complaints

    code, peaks, complaints = run_in_child(inside)
    assert code == 130
    assert re.fullmatch(r"liveness: interrupted by SIGINT: .* continues it", complaints.splitlines()[-1])
    assert len(peaks) == 5  # the supervisor, a receiver, two senders, and what compacts segments
    assert max(peaks.values()) < LIMIT_KIB, peaks


def test_a_bandwidth_is_shown_as_a_rate_too(tmp_path: Path) -> None:
    """Probes differ in length: their sum is checked by the packets shown."""
    shown = liveness("scan", "-C", SEPT5, "--dryrun", "-B", "10M", cwd=tmp_path)
    assert shown.code == 0, shown.err
    bits = sum(max(84, len(bytes(packet)) + 14 + 24) * 8 for packet in packets_shown(shown.out).values())
    rate = re.search(rf"^rate +{RATE_SHOWN}$", shown.out, re.MULTILINE)
    assert rate
    in_all, each = (float(number.replace(",", "")) for number in rate.groups())
    assert in_all == round(9e7 / bits)
    assert each == pytest.approx(1e7 / bits, abs=0.05)
    config = tmp_path / "x.yaml"
    config.write_text("name: x\nrate: 10Mbps\ntargets: {allow: [9.9.9.0/24]}\ncontact: me\n")
    checked = liveness("config", "check", config, cwd=tmp_path)
    assert re.search(rf"^  rate +{RATE_SHOWN}$", checked.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-B", "10M", "-r", "5"), ["--rate", "--bandwidth"]),
        (("-B", "10Mpps"), ["--bandwidth", "10Mpps", "10M"]),
        (("-B", "auto"), ["--bandwidth", "auto"]),
        (("-B", "1"), ["$.rate: 1bps", "bps is the least"]),
        (("-r", "20k", "--rate-limit", "10k"), ["$.rate: 20kpps", "$.rate_limit: 10kpps"]),
        (("-r", "auto", "--rate-limit", "auto"), ["--rate-limit: 'auto'", "100kpps"]),
    ],
)
def test_rates_that_contradict(tmp_path: Path, flags: tuple[str, ...], words: list[str]) -> None:
    refused = liveness("scan", "-C", SEPT5, "--dryrun", *flags, cwd=tmp_path)
    assert (refused.code, refused.out) == (2, "")
    assert all(word in refused.err for word in words), refused.err
    assert "Traceback" not in refused.err
