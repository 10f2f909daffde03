"""A survey without a kernel and without waiting: rings in memory, a clock that jumps, and a network with a memory.

The network keeps what left and what it answered, so that a test can say which bits the planes must have: by nothing but
send times, arrival times and what a reply is.
"""

import heapq
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveness.config.model import decode_unit
from liveness.files.documents import shaped
from liveness.lab.twins.registry import file_of, twin_named
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.packets.checksum import checksum
from liveness.planes.blocks import Blocks
from liveness.planes.live import BOOT, LISTENED_NS, START_NS, LivePlanes
from liveness.planes.stored import StoredRounds
from liveness.probes.template import LinkAddresses
from liveness.runs.rundir import RunDirectory
from liveness.scan.receive.receiver import Receiver
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.survey.config import SurveyConfig
from liveness.survey.plane_sink import OUTCOMES, PlaneSink, PlaneSinks
from liveness.survey.recorder import RoundRecorder, boot_hash
from liveness.survey.schedule import Survey, survey_of
from liveness.survey.sender import Clock, RoundSender

LINK = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
SOURCE = parse_address("198.51.100.7")
ROUTER = parse_address("10.255.0.1")
CONTROL_PORT = 50_123
KEY = bytes(range(16))
START_NS_2020 = 1_577_836_800_000_000_000
"""A time that has passed: echo payloads carry the time of today, which is then no send time of this survey."""

PORTS = {(6, 22): "tcp/22", (6, 23): "tcp/23", (6, 80): "tcp/80", (6, 443): "tcp/443", (6, 7547): "tcp/7547"}
PORTS |= {
    (17, 53): "dns",
    (17, 123): "ntp",
    (17, 1900): "udp/1900",
    (17, 161): "snmp",
    (6, CONTROL_PORT): "tcp/control",
}
EVERYTHING = ("icmp", *(name for name in PORTS.values()))


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that the network sends: after how long, and what ("positive", "negative", "router", "other")."""

    delay_ns: int
    what: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame that left, with its time, its target and the replies to it."""

    time_ns: int
    target: int
    probe: str
    replies: tuple[Reply, ...]


def _sum(data: bytes) -> int:
    words = struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])
    total: int = sum(words) + (data[-1] << 8 if len(data) % 2 else 0)
    return total


def _ip(source: int, target: int, protocol: int, payload: bytes) -> bytes:
    header = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0, source, target)
    header = header[:10] + struct.pack("!H", checksum(_sum(header))) + header[12:]
    return bytes.fromhex("020000000001020000000002") + b"\x08\x00" + header + payload


def _icmp(kind: int, code: int, rest: bytes) -> bytes:
    body = struct.pack("!BBH", kind, code, 0) + rest
    return body[:2] + struct.pack("!H", checksum(_sum(body))) + body[4:]


def _transport(source: int, target: int, protocol: int, segment: bytes, at: int) -> bytes:
    pseudo = struct.pack("!IIBBH", source, target, 0, protocol, len(segment))
    total = checksum(_sum(pseudo + segment))
    return segment[:at] + struct.pack("!H", total or 0xFFFF) + segment[at + 2 :]


def _udp_answer(probe: str, request: bytes) -> bytes:
    twin = twin_named(probe)
    assert twin is not None
    answer: bytes | None = file_of(twin).respond(request)
    assert answer is not None
    return answer


def reply_frame(packet: bytes, probe: str, what: str) -> bytes | None:
    """Return the frame of a reply to an IP packet that left; None if this probe has no such reply."""
    source, target = struct.unpack("!II", packet[12:20])
    if what == "router":
        return _ip(ROUTER, source, 1, _icmp(3, 13, bytes(4) + packet[:28]))
    if packet[9] == 1 and what in ("positive", "other"):
        return _ip(ROUTER if what == "other" else target, source, 1, _icmp(0, 0, packet[24:]))
    if what == "other":
        return None
    if packet[9] == 6:
        return _ip(target, source, 6, _segment(packet, b"\x12" if what == "positive" else b"\x14"))
    if what == "negative":
        return _ip(target, source, 1, _icmp(3, 3 if packet[9] == 17 else 1, bytes(4) + packet[:28]))
    answer = _udp_answer(probe, packet[28:])
    datagram = packet[22:24] + packet[20:22] + struct.pack("!HH", 8 + len(answer), 0) + answer
    return _ip(target, source, 17, _transport(target, source, 17, datagram, 6))


def _segment(packet: bytes, flags: bytes) -> bytes:
    """Return the TCP segment that answers a SYN."""
    source, target = struct.unpack("!II", packet[12:20])
    ack = struct.pack("!I", (struct.unpack("!I", packet[24:28])[0] + 1) & 0xFFFFFFFF)
    segment = packet[22:24] + packet[20:22] + bytes(4) + ack + b"\x50" + flags + b"\x10\x00" + bytes(4)
    return _transport(target, source, 6, segment, 16)


Behaviour = Callable[[int, str, int], tuple[Reply, ...]]
"""What the network does with a probe: (target, probe, time_ns) -> replies."""


@dataclass
class VirtualNetwork:
    """The network: what left, and what is on its way back."""

    behaviour: Behaviour
    now_ns: int
    passed: list[Passed] = field(default_factory=list)
    coming: list[tuple[int, int, bytes]] = field(default_factory=list)
    rx: MemoryRxRing = field(default_factory=MemoryRxRing)

    def __call__(self, frame: bytes) -> Iterator[bytes]:
        packet = frame[14 : 14 + struct.unpack("!H", frame[16:18])[0]]
        target, protocol = struct.unpack("!I", packet[16:20])[0], packet[9]
        probe = "icmp" if protocol == 1 else PORTS[protocol, struct.unpack("!H", packet[22:24])[0]]
        sent = []
        for reply in self.behaviour(target, probe, self.now_ns):
            back = reply_frame(packet, probe, reply.what)
            if back is not None:
                sent.append(reply)
                heapq.heappush(self.coming, (self.now_ns + reply.delay_ns, len(self.passed), back))
        self.passed.append(Passed(self.now_ns, target, probe, tuple(sent)))
        return iter(())

    def deliver(self) -> bool:
        """Put what has arrived by now on the ring; return whether there was anything."""
        any_came = False
        while self.coming and self.coming[0][0] <= self.now_ns:
            at_ns, _, frame = heapq.heappop(self.coming)
            self.rx.deliver(frame, at_ns)
            any_came = True
        return any_came


@dataclass
class VirtualSurvey:
    """A survey of /24s in a directory, on a clock that jumps from slot to slot."""

    path: Path
    survey: Survey
    network: VirtualNetwork
    tolerance_ns: int = 50_000_000
    slept: Callable[["VirtualSurvey"], None] = lambda _: None
    stalls: dict[int, int] = field(default_factory=dict)
    """Number of a pause -> ns by which it is longer."""
    steps: dict[int, int] = field(default_factory=dict)
    """Number of a pause -> ns by which the clock is set during it."""
    pauses: int = 0
    ring: type[MemoryTxRing] = MemoryTxRing

    def open(self, *, resumed: bool = False) -> None:
        """Open planes, recorder, sender and receiver."""
        survey, network = self.survey, self.network
        shape = len(survey.blocks), len(survey.probes), survey.depth
        self.live = LivePlanes.open(self.path, *shape) if resumed else LivePlanes.create(self.path, *shape)
        if not resumed:
            self.live.header[BOOT] = boot_hash()
            self.live.header[START_NS] = survey.order.start_ns
        self.plan = survey.plan(CONTROL_PORT if "tcp/control" in survey.probes else None, KEY)
        self.plan = replace(self.plan, sinks=(PlaneSinks(survey.order, self.live, lambda: network.now_ns),))
        self.stored = StoredRounds(self.path, survey.probes, len(survey.blocks), self.live.stored)
        self.notices: list[str] = []
        self.recorder = RoundRecorder(
            self.path, survey.order, survey.probes, self.live, self.stored, self.notices.append
        )
        if resumed:
            self.recorder.open(network.now_ns)
        constants = constants_of(self.plan, LINK, (SOURCE,))
        self.shared = Shared(self.plan)
        self.tx = self.ring(network, network.rx, slots=512)
        self.sender = RoundSender(
            self.plan, survey.order, constants, self.tx, self.shared, self.live, self.tolerance_ns, self.clock()
        )
        directory = RunDirectory(self.path)
        (self.path / "segments").mkdir(exist_ok=True)
        self.receiver = Receiver(self.plan, constants, network.rx, self.shared, directory)
        self.receiver.open_sinks()

    def clock(self) -> Clock:
        def sleep(seconds: float) -> None:
            self.pauses += 1
            self.network.now_ns += int(seconds * 1e9) + self.stalls.get(self.pauses, 0)
            step_ns = self.steps.get(self.pauses, 0)
            if step_ns:  # what is on its way arrives as it would have, by a clock that shows another time
                self.network.now_ns += step_ns
                self.network.coming = [(at_ns + step_ns, n, frame) for at_ns, n, frame in self.network.coming]
            self.slept(self)
            self.receive()
            self.recorder.look(self.network.now_ns)

        return Clock(lambda: self.network.now_ns, sleep)

    def kill(self, down_ns: int) -> None:
        """End all processes at once, and begin again after a time in which replies find nobody."""
        self.stored.close()
        self.live.close()
        self.network.now_ns += down_ns
        while self.network.coming and self.network.coming[0][0] <= self.network.now_ns:
            heapq.heappop(self.network.coming)
        self.network.rx = MemoryRxRing()
        self.open(resumed=True)

    def receive(self) -> None:
        if self.network.deliver():
            while not self.receiver.step(0.0):
                pass

    def run(self, until_ns: int | None = None) -> None:
        """Send until a time, or until the end; after the end, listen for an interval more."""
        order = self.survey.order
        walk = self.sender.begin()
        while not walk.finished and (until_ns is None or self.network.now_ns < until_ns):
            self.sender.step(walk)
        if until_ns is not None:
            return
        self.network.now_ns = order.end_ns + order.interval_ns + 1_000_000_000
        self.receive()
        self.recorder.look(self.network.now_ns)
        self.live.header[LISTENED_NS] = self.network.now_ns

    @property
    def outcomes(self) -> NDArray[np.int64]:
        (sink,) = self.receiver.sinks
        return sink.outcomes if isinstance(sink, PlaneSink) else np.zeros(OUTCOMES, np.int64)


def survey_config(**changed: object) -> SurveyConfig:
    """Return the config of a small survey."""
    document = {"name": "memory", "probes": ["icmp"], "survey": {"blocks": "x", "interval": "11m", "duration": "99m"}}
    return shaped({**document, **changed}, SurveyConfig, "test", decode=decode_unit)


def virtual_survey(
    path: Path,
    config: SurveyConfig,
    blocks: tuple[str, ...],
    behaviour: Behaviour,
    blocked: Intervals = Intervals.empty(),  # noqa: B008 - it never changes
) -> VirtualSurvey:
    """Return a survey of /24s that starts in 2020; `blocked` are addresses of a blocklist."""
    numbers = np.array([parse_address(block) >> 8 for block in blocks], np.uint32)
    first = numbers << np.uint32(8)
    targets = Targets.build(Intervals.from_bounds(first, first | np.uint32(255)), blocked, lab=True)
    survey = survey_of(config, Blocks.of(numbers), targets).starting(START_NS_2020)
    network = VirtualNetwork(behaviour, START_NS_2020 - 100_000_000)
    return VirtualSurvey(path, survey, network)


def expected_bits(
    survey: Survey, network: VirtualNetwork, probe: str, counts_as_sent: Callable[[int, int], bool]
) -> dict[str, NDArray[np.bool_]]:
    """Return what the planes of a probe must hold, (rounds, addresses), from what the network saw.

    `counts_as_sent` says whether a probe (round, time of its slot) counts as sent.
    """
    order = survey.order
    addresses = {int(address): index for index, address in enumerate(survey.blocks.addresses)}
    slots = order.address_slots(survey.probes.index(probe))
    planes = {
        name: np.zeros((order.rounds, survey.addresses), np.bool_) for name in ("sent", "positive", "negative", "late")
    }
    for one in network.passed:
        if one.probe != probe:
            continue
        index = addresses[one.target]
        phase_ns = int(slots[index]) * order.interval_ns // order.all_slots
        number = (one.time_ns - order.start_ns - phase_ns) // order.interval_ns
        if not counts_as_sent(number, order.start_ns + number * order.interval_ns + phase_ns):
            continue
        planes["sent"][number, index] = True
        for reply in one.replies:
            if one.time_ns + reply.delay_ns > network.now_ns:
                continue  # it is still on its way
            if reply.delay_ns > order.interval_ns:
                planes["late"][number, index] = True
            else:
                planes["positive" if reply.what == "positive" else "negative"][number, index] = True
    planes["negative"] &= ~planes["positive"]
    planes["late"] &= ~planes["positive"] & ~planes["negative"]
    return planes


def slots_by_address(survey: Survey) -> dict[int, int]:
    """Return when in a round each address is due, ns."""
    order = survey.order
    due = (int(slot) * order.interval_ns // order.all_slots for slot in order.address_slots(0))
    return dict(zip(survey.blocks.addresses.tolist(), due, strict=True))


def bits_of(planes: NDArray[np.uint8], rounds: int) -> NDArray[np.bool_]:
    """Return planes by address as (rounds, addresses)."""
    return np.unpackbits(planes, axis=1, bitorder="little")[:, :rounds].T.astype(np.bool_)
