"""A census over an interface without Ethernet: its sets are the truth of the kernel at the far end, its packets raw."""

import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyroaring import BitMap
from scapy.layers.inet import IP
from scapy.utils import RawPcapReader

from liveness.replies import Kind
from liveness.space.addresses import parse_address
from tests.census.support import LIVENESS, ROOT, Census, run, write_yaml
from tests.net.tunnels import HERE, KINDS

if TYPE_CHECKING:
    import subprocess

LINKTYPE_RAW = 101
WRONG = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0"
CHECKING = ("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE")
FIRST = parse_address("9.9.8.0")
ALIVE = BitMap(range(FIRST + 256, FIRST + 512))
UNREACHABLE = BitMap(range(FIRST + 512, FIRST + 768))
CONFIG = {
    "name": "tunnel",
    "seed": 5,
    "targets": {"allow": ["9.9.8.0/22"]},
    "contact": "https://example.org/scan",
    "probes": ["icmp", "tcp/79-81", "dns"],
    "control": False,
    "rate": "4kpps",
    "probe_spacing": "5ms",
    "retransmit": {"attempts": 2, "queue": 100},
    "cooldown": "1s",
    "replies": "both",
    "user": "root",
}


def tunnelled(kind: str, script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return run(sys.executable, "-m", "tests.census.tunnelled", kind, f"cd {folder}; {script}", cwd=ROOT)


@pytest.fixture(scope="module", params=KINDS)
def census(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Census, str]:
    """Take a census over one kind of tunnel; return it and what it said."""
    folder = tmp_path_factory.mktemp(request.param)
    write_yaml(folder / "c.yaml", CONFIG)
    done = tunnelled(request.param, f"{' '.join(LIVENESS)} scan -C c.yaml", folder)
    assert done.returncode == 0, done.stderr
    return Census(folder / done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.lab
def test_the_sets_are_the_truth(census: tuple[Census, str]) -> None:
    found, _ = census
    assert found.manifest.status == "complete"
    assert found.union({"icmp"}, {"echo-reply"}, "source") == ALIVE
    assert found.union({"tcp/80"}, {"syn-ack"}, "source") == ALIVE
    assert found.union({"tcp/79"}, {"rst"}, "source") == ALIVE
    assert found.union({"tcp/81"}, {"rst"}, "source") == ALIVE
    errors = {key: members for key, members in found.sets.items() if key.reply.kind is Kind.ERROR}
    for key, members in errors.items():
        if key.role == "target":
            closed = key.reply.probe == "dns" and key.reply.icmp_code == 3
            assert members == ALIVE if closed else members <= UNREACHABLE, key  # the kernel limits what routes refuse
    assert {key.reply.probe for key in errors} >= {"icmp", "dns"}


@pytest.mark.lab
def test_nothing_is_lost_or_rejected_and_the_manifest_says_how_it_left(census: tuple[Census, str]) -> None:
    manifest = census[0].manifest
    assert {name: probe.sent for name, probe in manifest.probes.items()} == {
        name: [1024, 1024] for name in ("icmp", "tcp/79", "tcp/80", "tcp/81", "dns")
    }
    assert manifest.transmit.transport == "af_packet"
    assert manifest.rejected == {}
    assert manifest.losses == []
    assert manifest.transmit.errors == 0
    assert manifest.source_addresses == [HERE]
    assert any("without an Ethernet header" in reason for reason in manifest.transmit.reasons)


@pytest.mark.lab
def test_the_log_of_packets_is_of_raw_ip_for_scapy_and_tshark(census: tuple[Census, str]) -> None:
    found, _ = census
    files = sorted((found.path / "pcap").iterdir())
    assert files
    replies = 0
    for file in files:
        with RawPcapReader(str(file)) as reader:
            assert reader.linktype == LINKTYPE_RAW
            for data, _ in reader:
                packet = IP(data)
                assert packet.dst == HERE
                assert len(data) == packet.len
                replies += 1
        shown = run("tshark", "-r", file, *CHECKING, "-Y", WRONG)
        assert (shown.returncode, shown.stdout) == (0, ""), shown.stderr
    assert replies == found.manifest.receive.packets > 0


@pytest.mark.lab
def test_its_packets_replayed_give_the_same_sets(census: tuple[Census, str], tmp_path: Path) -> None:
    found, _ = census
    done = run(*LIVENESS, "replay", "--run", found.path, "--check", "-o", tmp_path / "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.lab
def test_opted_out_addresses_leave_its_packets(census: tuple[Census, str], tmp_path: Path) -> None:
    """Last in this file: it takes addresses out of the run."""
    found, _ = census
    (tmp_path / "blocked.txt").write_text("9.9.9.0/25\n")
    done = run(*LIVENESS, "blocklist", "apply", found.path, "-b", tmp_path / "blocked.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    blocked = range(FIRST + 256, FIRST + 384)
    left = 0
    for file in sorted((found.path / "pcap").iterdir()):
        with RawPcapReader(str(file)) as reader:
            assert reader.linktype == LINKTYPE_RAW
            for data, _ in reader:
                assert parse_address(IP(data).src) not in blocked
                left += 1
    assert left > 0


@pytest.mark.lab
def test_the_start_says_that_its_ports_are_those_of_the_host(census: tuple[Census, str]) -> None:
    notices = [line for line in census[1].splitlines() if "ip_local_reserved_ports" in line]
    assert len(notices) == 1
    assert "source ports 32768-61000 are also those of this host's own connections" in notices[0]


@pytest.mark.lab
def test_a_target_every_two_seconds(tmp_path: Path) -> None:
    """Below a packet a second: times between the replies of a whole scan, which come at once over the tunnel."""
    document = CONFIG | {"targets": {"allow": ["9.9.9.1-9.9.9.3"]}, "probes": ["icmp"], "rate": "30/min"}
    write_yaml(tmp_path / "c.yaml", document | {"retransmit": {"attempts": 1}, "replies": "pcap"})
    done = tunnelled("tun", f"{' '.join(LIVENESS)} scan -C c.yaml", tmp_path)
    assert done.returncode == 0, done.stderr
    found = Census(tmp_path / done.stdout.splitlines()[-1])
    assert found.union({"icmp"}, {"echo-reply"}, "source") == BitMap(range(FIRST + 257, FIRST + 260))
    times = []
    for file in (found.path / "pcap").iterdir():
        with RawPcapReader(str(file)) as reader:
            times += [meta.sec * 10**9 + meta.usec for _, meta in reader]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == 2
    assert all(gap > 1.5e9 for gap in gaps), gaps  # none early; late is up to this machine


@pytest.mark.lab
def test_a_range_of_sources_is_used_whole_and_every_reply_counts(tmp_path: Path) -> None:
    """Replies to each of eight addresses, of a range and of a prefix that are local here."""
    write_yaml(tmp_path / "c.yaml", CONFIG | {"probes": ["icmp", "tcp/80"], "replies": "pcap"})
    local = "ip route add local 10.8.0.4/30 dev lo; ip route add local 10.8.0.8/30 dev lo"
    flags = "-S 10.8.0.4-10.8.0.7 -S 10.8.0.8/30 -w targets.txt"
    (tmp_path / "targets.txt").write_text("9.9.9.0/24\n")
    done = tunnelled("tun", f"{local}; {' '.join(LIVENESS)} scan -C c.yaml {flags}", tmp_path)
    assert done.returncode == 0, done.stderr
    found = Census(tmp_path / done.stdout.splitlines()[-1])
    sources = [f"10.8.0.{last}" for last in range(4, 12)]
    assert found.manifest.source_addresses == sources
    assert found.union({"icmp"}, {"echo-reply"}, "source") == ALIVE
    assert found.union({"tcp/80"}, {"syn-ack"}, "source") == ALIVE
    replied = set()
    for file in (found.path / "pcap").iterdir():
        with RawPcapReader(str(file)) as reader:
            replied |= {IP(data).dst for data, _ in reader}
    assert replied == set(sources)
