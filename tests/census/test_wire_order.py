"""What a scan really sends, captured by the lab's router: whom, how often, in which order and how far apart."""

import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import Final

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from liveness.config.load import resolve_targets
from liveness.config.model import from_document
from liveness.scan.plan import Plan, census_order
from liveness.space.addresses import parse_address
from tests.census.support import LIVENESS, ROOT, TIMEOUT_S, Census, clean_environment, run, write_yaml

pytestmark = pytest.mark.lab

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/25], listen: [80], dns: answer}
  - {name: dark, kind: silent, prefixes: [10.2.0.0/25]}
"""
BLOCKLIST: Final = """
# opted out
10.1.0.16/28
10.1.0.100-10.1.0.103   # a range
10.2.0.9
"""
ALLOWED: Final = frozenset(
    [f"10.1.0.{last}" for last in (*range(16), *range(32, 100), *range(104, 128))]
    + [f"10.2.0.{last}" for last in range(48) if last != 9]
    + ["10.3.0.7"]
)
PROBES: Final = ("icmp", "tcp/22", "tcp/23", "tcp/80", "tcp/443", "tcp/7547", "dns", "ntp", "tcp/control")
SCANNER: Final = "10.255.0.2"
RATE_PPS: Final = 200
QUEUE: Final = 60
SPACING_S: Final = 0.1
COOLDOWN_S: Final = 0.6
PORTS: Final = ((40_000, 40_999), (41_000, 41_999))
"""Source ports of the first and the second attempt."""
CONFIG: Final[dict[str, object]] = {
    "name": "wire",
    "seed": 5,
    "targets": {"allow": ["10.1.0.0/25", "10.2.0.0-10.2.0.47", "10.3.0.7"], "block": ["blocklist.txt"]},
    "rate": f"{RATE_PPS}pps",
    "block_prefix": 16,
    "retransmit": {"attempts": 2, "queue": QUEUE},
    "probe_spacing": "100ms",
    "cooldown": "600ms",
    "network": {"source_ports": "40000-41999"},
}
MAX_TARGETS: Final = 50
RUNS: Final[dict[str, dict[str, object]]] = {
    "whole": {},
    "unanswered": {"retransmit": {"attempts": 2, "queue": QUEUE, "only_unanswered": True}},
    "limited": {"limits": {"max_targets": MAX_TARGETS}, "probes": ["icmp", "tcp/80"]},
    "limited-3": {"limits": {"max_targets": MAX_TARGETS}, "probes": ["icmp", "tcp/80"], "senders": 3},
}


@dataclass(frozen=True)
class Sent:
    """One probe as it passed the router; `port` is its source port, 0 for ICMP."""

    time_s: float
    probe: str
    target: str
    port: int


@dataclass(frozen=True)
class Captured:
    """A run, and all that its scanner sent."""

    census: Census
    frames: list[tuple[float, bytes]]

    @cached_property
    def packets(self) -> list[tuple[float, IP]]:
        """Every IPv4 packet, the scanner's kernel's own among them, in order."""
        packets = [(time_s, Ether(frame)) for time_s, frame in self.frames]
        return [(time_s, packet[IP]) for time_s, packet in packets if packet.type == 0x0800]

    @cached_property
    def probes(self) -> list[Sent]:
        """Every probe in order."""
        named = [(time_s, packet, probe_of(packet, self.census)) for time_s, packet in self.packets]
        return [
            Sent(time_s, probe, packet.dst, 0 if probe == "icmp" else packet.payload.sport)
            for time_s, packet, probe in named
            if probe is not None
        ]

    @cached_property
    def plan(self) -> Plan:
        """The plan of the run, from its manifest."""
        manifest = self.census.manifest
        config = from_document(manifest.config)
        return Plan(config, resolve_targets(config, lab=True), manifest.control_port, self.census.directory.read_key())


def probe_of(packet: IP, census: Census) -> str | None:
    """Return which probe a packet is, None for what the scanner's kernel says to replies it did not ask for.

    That is a reset to a SYN-ACK, and port unreachable to a UDP answer.
    """
    transport = packet.payload
    if isinstance(transport, ICMP):
        if transport.type == 8:
            return "icmp"
        assert (transport.type, transport.code) == (3, 3), packet.summary()
        return None
    if isinstance(transport, UDP):
        return {53: "dns", 123: "ntp"}[transport.dport]
    assert isinstance(transport, TCP), packet.summary()
    if transport.flags == "R":
        return None
    assert transport.flags == "S", packet.summary()
    port = transport.dport
    return "tcp/control" if port == census.manifest.control_port else f"tcp/{port}"


@pytest.fixture(scope="module")
def runs(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Captured]:  # noqa: ARG001 - for its effect
    """Scan a small lab in four ways at once, a lab each."""
    folder = tmp_path_factory.mktemp("wire")
    lab = folder / "small.yaml"
    lab.write_text(LAB)
    (folder / "blocklist.txt").write_text(BLOCKLIST)
    started = {}
    for name, changes in RUNS.items():
        config = write_yaml(folder / f"{name}.config.yaml", CONFIG | {"output": str(folder)} | changes)
        scan = [*LIVENESS, "scan", "-q", "-C", str(config), "--run-id", name]
        started[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.census.capture", str(lab), str(folder / f"{name}.frames"), *scan],
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    captured = {}
    for name, process in started.items():
        _, complaints = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, complaints) == (0, "")
        lines = [line.split() for line in (folder / f"{name}.frames").read_text().splitlines()]
        frames = [(int(time_ns) / 1e9, bytes.fromhex(frame)) for time_ns, frame in lines]
        captured[name] = Captured(Census(folder / "wire" / name), frames)
    return captured


@pytest.fixture
def whole(runs: dict[str, Captured]) -> Captured:
    return runs["whole"]


def in_block(address: str, block: str) -> bool:
    return address.startswith(block)


def of_probe(sent: Iterable[Sent], probe: str) -> list[Sent]:
    return [entry for entry in sent if entry.probe == probe]


def test_nothing_is_sent_to_an_address_that_is_blocked_or_unlisted(runs: dict[str, Captured]) -> None:
    for captured in runs.values():
        assert {packet.dst for _, packet in captured.packets} <= ALLOWED
        assert {packet.src for _, packet in captured.packets} == {SCANNER}


def test_every_allowed_address_gets_every_probe_once_an_attempt(whole: Captured) -> None:
    assert len(ALLOWED) == 156 == whole.census.manifest.targets
    counted = Counter((probe.target, probe.probe) for probe in whole.probes)
    assert counted == dict.fromkeys(((target, probe) for target in ALLOWED for probe in PROBES), 2)


def test_the_manifest_counts_what_left(runs: dict[str, Captured]) -> None:
    for captured in runs.values():
        counted = Counter(probe.probe for probe in captured.probes)
        assert {probe: sum(counts.sent) for probe, counts in captured.census.manifest.probes.items()} == counted
        assert captured.census.manifest.transmit.frames == len(captured.probes)


def test_source_ports_show_the_attempt(whole: Captured) -> None:
    ports: dict[tuple[str, str], list[int]] = defaultdict(list)
    for sent in whole.probes:
        ports[sent.target, sent.probe].append(sent.port)
    for (_, probe), (first, second) in ports.items():
        if probe == "icmp":
            assert (first, second) == (0, 0)
        else:
            assert PORTS[0][0] <= first <= PORTS[0][1]
            assert PORTS[1][0] <= second <= PORTS[1][1]
    assert len({port for entry in ports.values() for port in entry}) > 200, "spread over the range"


def test_every_probe_is_a_sound_packet(whole: Captured) -> None:
    """Lengths and checksums are what scapy makes of the same fields."""
    for _, packet in whole.packets:
        rebuilt = packet.copy()
        del rebuilt.len, rebuilt.chksum
        del rebuilt.payload.chksum
        if UDP in rebuilt and rebuilt.proto == 17:
            del rebuilt.payload.len
        content = bytes(packet.original)[: packet.len]
        assert bytes(rebuilt) == content
    assert {packet.ttl for _, packet in whole.packets} == {64}


def test_first_attempts_follow_the_permutation(whole: Captured) -> None:
    plan = whole.plan
    expected = [
        int(address)
        for block in census_order(plan).parts
        for address in block.listed.address_at(block.permutation.shard(0, 1, block.targets).indices())
    ]
    for probe in PROBES:
        order = list(dict.fromkeys(parse_address(entry.target) for entry in of_probe(whole.probes, probe)))
        assert order == expected, probe
    first_block = plan.order.parts[0].targets
    assert plan.first_addresses(10_000).tolist() == expected[:first_block]
    assert expected[:first_block] != sorted(expected[:first_block])


def test_a_repeat_comes_a_queue_of_targets_after_its_original(whole: Captured) -> None:
    for probe in PROBES:
        for block in ("10.1.", "10.2.", "10.3."):
            targets = [entry.target for entry in of_probe(whole.probes, probe) if in_block(entry.target, block)]
            order = list(dict.fromkeys(targets))
            drawn: set[str] = set()
            repeats = []
            for target in targets:
                if target in drawn:
                    assert len(drawn) >= min(len(order), order.index(target) + QUEUE)
                    repeats.append(target)
                drawn.add(target)
            assert repeats == order


def gaps_s(captured: Captured, block: str) -> list[float]:
    """Return the times between probes to one address, of each attempt."""
    seen: dict[tuple[str, int], list[float]] = defaultdict(list)
    turns: Counter[tuple[str, str]] = Counter()
    for sent in captured.probes:
        if in_block(sent.target, block):
            attempt = turns[sent.target, sent.probe]
            turns[sent.target, sent.probe] += 1
            seen[sent.target, attempt].append(sent.time_s)
    return [later - earlier for times in seen.values() for earlier, later in pairwise(times)]


def test_probes_to_one_address_are_spaced(whole: Captured) -> None:
    """Never closer than they have to be, whatever the machine had to catch up, and in the middle by half of it more."""
    apart = gaps_s(whole, "10.2.")
    assert len(apart) == 47 * 2 * 8
    assert min(apart) >= SPACING_S
    assert SPACING_S <= median(apart) <= SPACING_S * 1.7
    overlapping = gaps_s(whole, "10.1.")
    assert min(overlapping) >= SPACING_S


def test_the_order_of_probes_to_one_address_is_the_config_s(whole: Captured) -> None:
    firsts: dict[str, list[str]] = defaultdict(list)
    for probe in whole.probes:
        if probe.probe not in firsts[probe.target]:
            firsts[probe.target].append(probe.probe)
    assert set(map(tuple, firsts.values())) == {PROBES}


def test_blocks_follow_each_other_after_a_cooldown(whole: Captured) -> None:
    spans = []
    for block in ("10.1.", "10.2.", "10.3."):
        times = [probe.time_s for probe in whole.probes if in_block(probe.target, block)]
        spans.append((min(times), max(times)))
    for (_, end), (begin, _) in pairwise(spans):
        assert begin - end >= COOLDOWN_S * 0.95
    assert [block.status for block in whole.census.manifest.blocks] == ["done"] * 3


def test_probes_of_one_kind_leave_at_their_rate(whole: Captured) -> None:
    """Where originals and repeats follow each other; the median, since a machine may stall and catch up."""
    steps_s: list[float] = []
    for probe in PROBES:
        times = [entry.time_s for entry in of_probe(whole.probes, probe) if in_block(entry.target, "10.2.")]
        steps_s += [later - earlier for earlier, later in pairwise(times)]
    assert median(steps_s) == pytest.approx(1 / RATE_PPS, rel=0.1)


def test_only_unanswered_repeats_what_was_not_answered(runs: dict[str, Captured]) -> None:
    captured = runs["unanswered"]
    counted = Counter((probe.target, probe.probe) for probe in captured.probes)
    assert {key for key, count in counted.items() if count == 1} == {
        (target, probe) for target in ALLOWED if target.startswith("10.1.") for probe in PROBES
    }
    assert {key for key, count in counted.items() if count == 2} == {
        (target, probe) for target in ALLOWED if not target.startswith("10.1.") for probe in PROBES
    }
    for counts in captured.census.manifest.probes.values():
        assert counts.sent == [156, 48]
    assert set(captured.census.manifest.attempts["icmp"]) == {"10"}


def test_only_unanswered_finds_the_same(runs: dict[str, Captured]) -> None:
    for name in ("whole", "unanswered"):
        census = runs[name].census
        internet = census.path.parents[1] / "small.yaml"
        done = run(*LIVENESS, "lab", "check", "--plain", "--internet", internet, census.path)
        assert done.returncode == 0, done.stdout


def test_max_targets_is_exact_and_the_same_for_any_number_of_senders(runs: dict[str, Captured]) -> None:
    one_sender, three_senders = runs["limited"], runs["limited-3"]
    for captured in (one_sender, three_senders):
        counted = Counter((sent.target, sent.probe) for sent in captured.probes)
        assert len({target for target, _ in counted}) == MAX_TARGETS == captured.census.manifest.targets
        assert len(counted) == MAX_TARGETS * 3
        assert set(counted.values()) == {2}
    assert {sent.target for sent in one_sender.probes} == {sent.target for sent in three_senders.probes}
    share = Counter(target.rpartition(".")[0] for target in {sent.target for sent in one_sender.probes})
    assert share["10.1.0"] == pytest.approx(MAX_TARGETS * 108 / 156, abs=1)
    assert {entry.file: entry.sha256 for entry in one_sender.census.manifest.sets} == {
        entry.file: entry.sha256 for entry in three_senders.census.manifest.sets
    }
