"""A whole scan without a kernel: sender and receiver over rings in memory, a network that is a dictionary."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from liveness.config.model import Config, from_document
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.probes.template import LinkAddresses
from liveness.runs.merge import Gathered, merge
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import Plan
from liveness.scan.receive.receiver import SEGMENT_ADDRESSES, Receiver
from liveness.scan.send.answered import mark_answered
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

FIRST = parse_address("10.1.0.0")
COUNT = 700  # three /24 blocks, the last not full
SOURCE = parse_address("198.51.100.7")
ROUTER = "10.255.0.1"
PROBES = ("icmp", "tcp/80", "dns", "tcp/control")
CONTROL_PORT = 50_123

Behaviour = str
"""What an address does: silent, host (echo, SYN-ACK on 80, DNS), closed (RST, port unreachable), router (3/13)."""
BEHAVIOURS = ("silent", "host", "closed", "router")


def name_of(packet: IP) -> str:
    if ICMP in packet:
        return "icmp"
    return "dns" if UDP in packet else {80: "tcp/80", CONTROL_PORT: "tcp/control"}[packet[TCP].dport]


def answer(packet: IP, behaviour: Behaviour) -> tuple[str, bytes] | None:
    """Return the label of the reply's class and the reply that an address with this behaviour sends."""
    back = IP(src=packet.dst, dst=packet.src)
    if behaviour == "router":
        return "error-3-13", bytes(IP(src=ROUTER, dst=packet.src) / ICMP(type=3, code=13) / bytes(packet)[:28])
    if behaviour == "silent":
        return None
    if ICMP in packet:
        echo = ICMP(type=0, id=packet[ICMP].id, seq=packet[ICMP].seq) / bytes(packet[ICMP].payload)
        return ("echo-reply", bytes(back / echo)) if behaviour == "host" else None
    if TCP in packet:
        alive = behaviour == "host" and packet[TCP].dport == 80
        ports = {"sport": packet[TCP].dport, "dport": packet[TCP].sport, "ack": (packet[TCP].seq + 1) % 2**32}
        return "syn-ack" if alive else "rst", bytes(back / TCP(**ports, flags="SA" if alive else "RA"))
    if behaviour == "host":
        query = packet[DNS]
        record = DNSRR(rrname="google.com", rdata="192.0.2.1")
        response = DNS(id=query.id, qr=1, qd=query.qd, an=record)
        return "answer", bytes(back / UDP(sport=53, dport=packet[UDP].sport) / response)
    return "error-3-3", bytes(back / ICMP(type=3, code=3) / bytes(packet)[:28])


class Network:
    """The dictionary, and what passed."""

    def __init__(self, behaviours: dict[int, Behaviour], lost: set[tuple[int, int]]) -> None:
        self.behaviours = behaviours
        self.lost = lost  # (address, how many-th packet to it) that never arrive
        self.seen: dict[tuple[str, int], int] = defaultdict(int)
        self.arrivals: dict[int, int] = defaultdict(int)
        self.expected: dict[tuple[str, str], set[int]] = defaultdict(set)

    def __call__(self, frame: bytes) -> Iterator[bytes]:
        packet = IP(frame[14:])
        target = parse_address(packet.dst)
        self.seen[name_of(packet), target] += 1
        self.arrivals[target] += 1
        if (target, self.arrivals[target]) in self.lost:
            return
        reply = answer(packet, self.behaviours.get(target, "silent"))
        if reply is not None:
            self.expected[name_of(packet), reply[0]].add(target)
            yield bytes(Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01", type=0x0800)) + reply[1]


def small_config(**changed: object) -> Config:
    return from_document(
        {
            "name": "memory",
            "targets": {"allow": ["10.1.0.0/22"]},
            "probes": list(PROBES[:-1]),
            "rate": "10Mpps",
            "block_prefix": 24,
            "probe_spacing": "1us",
            "cooldown": "0s",
            "retransmit": {"attempts": 2, "queue": 40},
            **changed,
        }
    )


def scan(
    config: Config, network: Network, segment_addresses: int = SEGMENT_ADDRESSES
) -> tuple[Gathered, dict[tuple[str, str, str], set[int]], Shared]:
    """Run a scan in this process; return what was received, its sets by probe, class and role, and the counters."""
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, CONTROL_PORT, bytes(range(16)))
    constants = constants_of(
        plan, LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002")), (SOURCE,)
    )
    rx_ring = MemoryRxRing()
    tx_ring = MemoryTxRing(network, rx_ring, slots=20 * len(plan.probes) * plan.attempts, frames_a_kick=100)
    shared = Shared(plan)
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory.create(Path(folder), "memory", "run")
        Sender(plan, constants, tx_ring, shared, 0).run()
        shared.finish[0] = 1
        assert Receiver(plan, constants, rx_ring, shared, directory, segment_addresses=segment_addresses).run() is None
        segments = directory.segments()
        assert len(segments) > (segment_addresses < COUNT)
        received = merge(directory, segments, [probe.name for probe in plan.probes], plan.attempts)
        sets = {
            (entry.probe, entry.key.reply.label, str(entry.role)): set(directory.read_set(entry))
            for entry in received.sets
        }
    return received, sets, shared


POPULATIONS = st.dictionaries(st.integers(FIRST, FIRST + COUNT - 1), st.sampled_from(BEHAVIOURS), max_size=60)


@given(POPULATIONS, st.sets(st.tuples(st.integers(FIRST, FIRST + COUNT - 1), st.integers(1, 8)), max_size=30))
@settings(max_examples=8)
def test_sets_are_the_dictionary(behaviours: dict[int, Behaviour], lost: set[tuple[int, int]]) -> None:
    network = Network(behaviours, lost)
    received, sets, shared = scan(small_config(), network)
    for (probe, label), targets in network.expected.items():
        assert sets.pop((probe, label, "target")) == targets, (probe, label)
        source = {parse_address(ROUTER)} if label == "error-3-13" else targets
        assert sets.pop((probe, label, "source")) == source, (probe, label)
        if label in ("error-3-3", "echo-reply"):
            assert sets.pop((probe, label, "direct")) == targets
    assert sets == {}
    assert received.tally.rejected == {}
    assert shared.sent.sum(axis=0).tolist() == [[COUNT, COUNT]] * len(PROBES)
    everyone = {(probe, address): 2 for probe in PROBES for address in range(FIRST, FIRST + COUNT)}
    assert network.seen == everyone
    assert int(shared.completed.sum()) == sum(everyone.values())


@pytest.mark.parametrize("unanswered_only", [True, False])
def test_only_the_unanswered_are_asked_again(unanswered_only: bool) -> None:
    """The receiver runs after the sender here, so its marks are set by hand: what the sender makes of them counts."""
    answered = {FIRST + 3, FIRST + 400}
    config = small_config(retransmit={"attempts": 2, "queue": 40, "only_unanswered": unanswered_only})
    network = Network({}, set())
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, CONTROL_PORT, bytes(range(16)))
    shared = Shared(plan)
    for address in answered:
        if unanswered_only:
            mark_answered(shared.answered, address, 1)
    constants = constants_of(plan, LinkAddresses(bytes(6), bytes(6)), (SOURCE,))
    Sender(plan, constants, MemoryTxRing(network, MemoryRxRing(), slots=160), shared, 0).run()
    for address in range(FIRST, FIRST + COUNT):
        for probe in PROBES:
            once = unanswered_only and address in answered and probe == "tcp/80"
            assert network.seen[probe, address] == (1 if once else 2), (format_address(address), probe)


def test_a_sample_is_so_many_of_every_block() -> None:
    network = Network({}, set())
    _, _, shared = scan(small_config(limits={"max_targets": 70}), network)
    addresses = {address for _, address in network.seen}
    assert len(addresses) == 70
    by_block = [sum((address - FIRST) // 256 == block for address in addresses) for block in range(3)]
    assert by_block == [26, 25, 19]  # 256, 256 and 188 of 700, largest remainders first
    assert shared.sent[0].tolist() == [[70, 70]] * len(PROBES)
