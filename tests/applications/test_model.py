"""Talks without a kernel: stacks that behave as few do, each with its outcome, over rings in memory."""

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from liveness.applications.registry import ENTRIES, definition_of
from liveness.config.model import Config, from_document, to_document
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.packets import cookie
from liveness.packets.block import pack_block
from liveness.packets.parse import FIELDS
from liveness.probes.template import LinkAddresses, hash_of
from liveness.replies import REPLY_DTYPE, Rejection
from liveness.replylog.replytable import ReplyTable
from liveness.runs.manifest import Manifest
from liveness.runs.merge import Gathered, merge
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.block_starts import BlockStarts
from liveness.scan.plan import Plan
from liveness.scan.receive.log_sink import LogSinks
from liveness.scan.receive.match_block import match_block
from liveness.scan.receive.receiver import Receiver
from liveness.scan.receive.replay import Replayed, replay
from liveness.scan.receive.set_sink import reception
from liveness.scan.receive.sink import Received
from liveness.scan.recovery.checkpointing import Checkpointing
from liveness.scan.recovery.resume import beginning
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.scan.talk import conversations, due, follow, segments, talker
from liveness.scan.talk.shared import COUNTS, OPENED, REFUSED, RESETS, SEQUENCE, TALKS, WITHDRAWN, TalkShared
from liveness.scan.talk.sink import TalkSink, TalkSinks
from liveness.scan.talk.talker import Talker
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.applications.services import RIGHT, SPEAKS_FIRST, wrong

FIRST: Final = parse_address("10.1.9.90")
"""The targets have addresses of different lengths, so that requests that name them differ in length, too."""
SOURCES: Final = (parse_address("198.51.100.7"), parse_address("198.51.100.8"))
LINK: Final = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
CONTACT: Final = "https://example.org/scan"
PORTS: Final = tuple(entry.port for entry in ENTRIES)
MOST_ROUNDS_S: Final = 120

BEHAVIOURS: Final = {
    "right": "answer",
    "other": "payload",
    "acks": "acked",  # acknowledges the request and says nothing
    "acks half": "mute",
    "swallows": "mute",  # not even an acknowledgment
    "zero window": "zero-window",
    "resets": "closed",
    "resets bare": "closed",  # an RST without ACK, as stacks without the connection send it
    "closes": "closed",
    "acks and closes": "closed",
    "pushed": "answer",  # speaks when data is pushed, that is to the repeat
    "repeats": "answer",  # sends its SYN-ACK again before it speaks
    "endless": "answer",
    "greets": "payload",  # greets as FTP, which is text as telnet servers send it, too
    "echoes": "payload",  # sends back what it gets
    "babbles": "payload",  # data of no protocol
    "forged": "mute",  # data whose acknowledgment proves nothing
    "early": "mute",  # data that acknowledges more than was sent
    "silent": None,
    "refuses": "rst",
}
NAMES: Final = tuple(BEHAVIOURS)
GREETING: Final = b"220 FTP server ready\r\n"
ECHOED: Final = b"GET / HTTP/1.1\r\n\r\n"
"""What echoes on ports where nothing is sent that could come back."""
BABBLE: Final = b"\1\2" * 40
FIRST_BYTES: Final = 20


def outcome(behaviour: str, port: int) -> str | None:
    if port in SPEAKS_FIRST and behaviour == "acks":
        return "mute"  # nothing was sent that could be acknowledged
    return BEHAVIOURS[behaviour]


class Stacks:
    """The network: every target has the behaviour of its place, on every port."""

    def __init__(self) -> None:
        self.sent: dict[tuple[int, int], list[TCP]] = defaultdict(list)
        self.spoken: set[tuple[int, int, int]] = set()
        self.odd: list[str] = []

    def __call__(self, frame: bytes) -> Iterator[bytes]:
        packet = IP(frame[14:])
        if TCP not in packet:
            return
        check = IP(bytes(packet))
        del check.chksum, check[TCP].chksum
        if bytes(check.__class__(bytes(check))) != bytes(packet):
            self.odd.append(packet.summary())
        target, segment = parse_address(packet.dst), packet[TCP]
        self.sent[target, segment.dport].append(segment)
        behaviour = NAMES[target - FIRST]
        for flags, acknowledged, window, data in self._replies(behaviour, target, segment):
            first = 1000 if "S" in flags else 1001
            back = TCP(
                sport=segment.dport, dport=segment.sport, seq=first, ack=acknowledged, flags=flags, window=window
            )
            yield bytes(Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01", type=0x0800)) + bytes(
                IP(src=packet.dst, dst=packet.src) / back / data
            )

    def _replies(self, behaviour: str, target: int, segment: TCP) -> Iterator[tuple[str, int, int, bytes]]:
        data = bytes(segment.payload)
        expected = (segment.seq + len(data)) % 2**32
        if segment.flags == "S":
            if behaviour == "refuses":
                yield "RA", segment.seq + 1, 0, b""
            elif behaviour != "silent":
                yield "SA", (segment.seq + 1) % 2**32, 0 if behaviour == "zero window" else 512, b""
            return
        if "R" in segment.flags:
            return
        assert segment.ack == 1001
        key = (target, segment.dport, segment.sport)
        if key in self.spoken and behaviour != "pushed":
            return
        self.spoken.add(key)
        yield from self._talk(behaviour, segment, data, expected)

    def _talk(self, behaviour: str, segment: TCP, data: bytes, expected: int) -> Iterator[tuple[str, int, int, bytes]]:
        answer, begun = RIGHT[segment.dport], segment.seq
        half = (begun + len(data) // 2) % 2**32
        said: dict[str, list[tuple[str, int, bytes]]] = {
            "right": [("PA", expected, answer)],
            "repeats": [("SA", begun, b"")] * 7 + [("PA", expected, answer)],
            "endless": [("PA", expected, answer)] + [("A", expected, b"x" * 100)] * 9,
            "greets": [("PA", expected, GREETING)],
            "echoes": [("PA", expected, data or ECHOED)],
            "babbles": [("PA", expected, BABBLE)],
            "other": [("A", expected, b""), ("PA", expected, wrong(segment.dport))],
            "acks": [("A", expected, b"")],
            "acks half": [("A", half, b"")],
            "resets": [("RA", expected, b"")],
            "resets bare": [("R", 0, b"")],
            "closes": [("FA", expected, b"")],
            "acks and closes": [("A", expected, b""), ("FA", expected, b"")],
            "pushed": [("PA", expected, answer)] if "P" in segment.flags else [],
            "forged": [("PA", (begun - 1) % 2**32, answer)],
            "early": [("PA", (expected + 1) % 2**32, answer)],
        }
        for flags, acknowledged, text in said.get(behaviour, []):
            yield flags, acknowledged, 512, text


def config_of(**changed: object) -> Config:
    return from_document(
        {
            "name": "model",
            "targets": {"allow": ["10.1.9.90-10.1.9.120"]},
            "probes": ["icmp", *(f"tcp/{port}" for port in PORTS)],
            "applications": [entry.name for entry in ENTRIES],
            "talk": {"wait": "1500ms", "first_bytes": FIRST_BYTES},
            "contact": CONTACT,
            "rate": "10Mpps",
            "control": False,
            "block_prefix": 24,
            "probe_spacing": "1us",
            "cooldown": "0s",
            "retransmit": {"attempts": 2, "queue": 4},
            **changed,
        }
    )


def record_of(**changed: object) -> Manifest:
    """Return the manifest of a run that has begun."""
    record = Manifest(
        name="model",
        run_id="run",
        status="running",
        seed=0,
        config={},
        started="2026-11-21T00:00:00Z",
        targets=2,
        probes={},
        sets=[],
    )
    return msgspec.structs.replace(record, **changed)


class Talked:
    """A scan in memory that talked: what was gathered, its sets, and what was sent."""

    def __init__(self, config: Config) -> None:
        targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + len(NAMES) - 1]), Intervals.empty(), lab=True)
        plan = Plan(config, targets, None, bytes(range(16)))
        self.constants = constants_of(plan, LINK, SOURCES)
        talker.warm_up(plan, self.constants)
        for kind in plan.sinks:
            kind.warm_up(plan)
        self.stacks = Stacks()
        rx_ring = MemoryRxRing()
        slots = 20 * len(plan.probes) * plan.attempts
        self.shared = Shared(plan)
        with tempfile.TemporaryDirectory() as folder:
            directory = RunDirectory.create(Path(folder), "memory", "run")
            receiver = Receiver(plan, self.constants, rx_ring, self.shared, directory)
            receiver.open_sinks()
            talks = Talker(plan, self.constants, MemoryTxRing(self.stacks, rx_ring, 64, 1024), self.shared)
            Sender(plan, self.constants, MemoryTxRing(self.stacks, rx_ring, slots), self.shared, 0).run()
            self._talk(receiver, talks)
            self.shared.finish[0] = 1
            assert receiver.run() is None
            self.gathered: Gathered = merge(
                directory, directory.segments(), [probe.name for probe in plan.probes], plan.attempts
            )
            self.log = LogSinks().conclude(plan, directory, Received.of(directory)).fields["log"]
            if config.replies == "both":
                with ReplyTable(directory.path) as table:
                    answer = table.query("SELECT probe, target_number, kind, protocol, data, tcp_flags FROM replies")
                    self.rows = list(answer.rows)
            self.sets = {
                (entry.probe, entry.key.reply.label): set(directory.read_set(entry))
                for entry in self.gathered.sets
                if entry.role == "target"
            }
            if config.replies == "both":
                self.replayed = self._replayed(plan, directory)

    def _replayed(self, plan: Plan, directory: RunDirectory) -> Replayed:
        """Replay the packets of the run."""
        directory.remove_traces()
        directory.write_key(plan.key)
        directory.write_targets(plan.intervals.entries())
        record = record_of(
            protocols=self.gathered.protocols,
            status="complete",
            config=to_document(plan.config),
            targets=plan.target_count,
            source_addresses=[format_address(source) for source in SOURCES],
            talk=self.counts(),
            **reception(self.gathered, only_unanswered=False),
        )
        directory.write_manifest(record)
        again = directory.path.parent / "again"
        return replay(
            RunDirectory.open(directory.path),
            sorted((directory.path / "pcap").iterdir()),
            again,
            "none",
            lambda _: None,
        )

    def _talk(self, receiver: Receiver, talks: Talker) -> None:
        talk = self.shared.talk
        assert talk is not None
        quiet = 0
        deadline = time.monotonic() + MOST_ROUNDS_S
        while not (quiet > 20 and talks.idle()):
            quiet = quiet + 1 if receiver.step(0.01) and not talks.step() else 0
            assert time.monotonic() < deadline

    def counts(self) -> dict[str, int]:
        return self.gathered.tally.talk


@pytest.fixture(scope="module")
def talked() -> Talked:
    return Talked(config_of(replies="both"))


def test_every_outcome_is_that_of_the_stack(talked: Talked) -> None:
    expected: dict[tuple[str, str], set[int]] = defaultdict(set)
    for place, behaviour in enumerate(NAMES):
        for port in PORTS:
            kind = outcome(behaviour, port)
            if kind is not None:
                expected[f"tcp/{port}", kind].add(FIRST + place)
                if kind != "rst":
                    expected[f"tcp/{port}", "syn-ack"].add(FIRST + place)
    assert talked.sets == expected


def test_nobody_is_asked_twice_and_every_frame_is_sound(talked: Talked) -> None:
    assert talked.stacks.odd == []
    spoken = Counter[tuple[int, int]]()
    for (target, port), sent in talked.stacks.sent.items():
        behaviour = NAMES[target - FIRST]
        asked = [segment for segment in sent if "A" in segment.flags]
        resets = [segment for segment in sent if segment.flags == "R"]
        assert {str(segment.flags) for segment in sent} <= {"S", "A", "PA", "R"}
        if behaviour in ("silent", "refuses", "zero window"):
            assert asked == [], (behaviour, port)
        else:
            assert 1 <= len(asked) <= 2, (behaviour, port)
            assert [str(segment.flags) for segment in asked] == ["A", "PA"][: len(asked)]
            assert {segment.sport for segment in asked} == {asked[0].sport}
        if outcome(behaviour, port) in ("answer", "payload", "acked", "mute", "zero-window"):
            assert resets, (behaviour, port)
        spoken[target, port] += len(asked)
    repeated = {(target, port) for (target, port), asked_times in spoken.items() if asked_times == 2}
    # On a slow machine the answer of any stack may come after the repeat.
    silent = {"swallows", "pushed", "forged", "early", "acks half"}
    assert {NAMES[target - FIRST] for target, port in repeated if port not in SPEAKS_FIRST} >= silent
    counts = talked.counts()
    assert set(counts) == set(COUNTS)
    assert counts["talks"] + counts["repeats"] == spoken.total()
    assert counts["refused"] == counts["lost_events"] == counts["lost_verdicts"] == 0


def test_the_log_lacks_nothing_that_came(talked: Talked) -> None:
    counted = {label for labels in talked.gathered.tally.messages.values() for label in labels}
    assert counted >= {"mute", "zero-window"}
    assert (talked.log.complete, talked.log.problems) == (True, [])
    rows = sum(file.rows for file in talked.log.files if file.file.startswith("replies/"))
    assert rows == talked.gathered.tally.accepted > 0


def protocol_of(behaviour: str, port: int) -> str:
    """Return the protocol of those whose outcome is an answer or a payload."""
    named = {"greets": "ftp", "echoes": "echo", "babbles": "unknown"}
    own = {22: "ssh", 23: "telnet", 443: "tls"}.get(port, "http")
    other = "http" if port in SPEAKS_FIRST else "ssh"
    return named.get(behaviour) or (other if behaviour == "other" else own)


def test_protocols_are_counted_by_target(talked: Talked) -> None:
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for behaviour in NAMES:
        for port in PORTS:
            if outcome(behaviour, port) in ("answer", "payload"):
                expected[f"tcp/{port}"][protocol_of(behaviour, port)] += 1
    assert talked.gathered.protocols == expected
    assert talked.replayed.manifest.protocols == expected


def test_the_log_has_the_protocol_and_the_first_bytes_of_data(talked: Talked) -> None:
    """Of the segments that are answers and payloads, and of no other; flags and window are those of TCP."""
    seen: dict[tuple[str, int], set[tuple[str, str]]] = defaultdict(set)
    for probe, target, kind, protocol, data, flags in talked.rows:
        assert (protocol is not None) == (data is not None) == (kind in ("answer", "payload")), (kind, protocol, data)
        assert (flags is not None) == probe.startswith("tcp/")
        if data is not None:
            seen[probe, target].add((protocol, data))
    for place, behaviour in enumerate(NAMES):
        for port in PORTS:
            if outcome(behaviour, port) in ("answer", "payload"):
                expected = protocol_of(behaviour, port), shown(said(behaviour, port, FIRST + place)[:FIRST_BYTES])
                text = "telnet" if port == 23 else "unknown"  # any text is an answer there
                more = {(text, "x" * FIRST_BYTES)} if behaviour == "endless" else set()
                assert expected in seen[f"tcp/{port}", FIRST + place]
                assert seen[f"tcp/{port}", FIRST + place] - {expected} <= more


def said(behaviour: str, port: int, target: int) -> bytes:
    """Return the data that a stack with this behaviour sends first."""
    entry = next(entry for entry in ENTRIES if entry.port == port)
    request = definition_of(entry).request(CONTACT).text_for(format_address(target))
    return {
        "greets": GREETING,
        "echoes": request or ECHOED,
        "babbles": BABBLE,
        "other": wrong(port),
    }.get(behaviour, RIGHT[port])


def shown(data: bytes) -> str:
    """Return bytes as DuckDB prints them."""
    return "".join(chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\\"'" else f"\\x{byte:02X}" for byte in data)


def test_a_replay_gives_all_but_what_the_talker_alone_knows(talked: Talked) -> None:
    comparison, manifest = talked.replayed.comparison, talked.replayed.manifest
    assert comparison is not None
    assert comparison.equal, comparison
    assert comparison.same > 0
    assert manifest.talk == talked.counts()
    assert {entry.kind for entry in talked.gathered.sets} - {entry.kind for entry in manifest.sets} == {"mute"}


def test_requests_are_those_of_the_applications(talked: Talked) -> None:
    for (target, port), sent in talked.stacks.sent.items():
        entry = next(entry for entry in ENTRIES if entry.port == port)
        text = definition_of(entry).request(CONTACT).text_for(format_address(target))
        for segment in sent:
            if "A" in segment.flags:
                assert bytes(segment.payload) == text
            else:
                assert bytes(segment.payload) == b""
    http = definition_of(ENTRIES[2]).request(CONTACT).text_for("192.0.2.1").decode()
    assert http.startswith("GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n")
    assert http.endswith("\r\n\r\n")
    assert CONTACT in http


@pytest.mark.parametrize("later_ns", [0, 1_000])
def test_the_numbers_of_a_segment_are_not_those_of_a_forged_one_before_it(later_ns: int) -> None:
    """What is acknowledged comes from the packet that proved itself, not from one that looks like it."""
    config = config_of(applications=["http"], probes=["tcp/80"])
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, None, bytes(range(16)))
    constants = constants_of(plan, LINK, SOURCES)
    numbers = constants.numbers[0]
    hashed = hash_of(numbers, FIRST)
    port = cookie.source_port(hashed, numbers["port_first"], numbers["port_stride"], 0)
    sequence = int(cookie.sequence(hashed))

    def syn_ack(first: int, acknowledged: int) -> bytes:
        segment = TCP(sport=80, dport=port, seq=first, ack=acknowledged % 2**32, flags="SA", window=512)
        return bytes(Ether(type=0x0800) / IP(src=format_address(FIRST), dst=format_address(SOURCES[0])) / segment)

    now_ns = time.time_ns()
    block = pack_block([(now_ns, syn_ack(7, 9)), (now_ns + later_ns, syn_ack(1000, sequence + 1))])
    shared = Shared(plan)
    assert shared.talk is not None
    replies = np.zeros(2, REPLY_DTYPE)
    accepted = match_block(
        block,
        True,
        constants,
        plan.intervals.first,
        plan.intervals.last,
        replies,
        np.zeros(len(Rejection), np.int64),
        shared.answered,
        np.zeros(FIELDS, np.int64),
    )
    assert accepted == 1
    TalkSink(plan, constants, shared.talk, 0).block(block, 2, replies[:accepted])
    assert shared.talk.written[0] == 1
    assert shared.talk.events[0, 0, SEQUENCE:].tolist() == [1001, (sequence + 1) % 2**32, now_ns + later_ns]


def slow_talker(
    receivers: int, *, resumed: Sequence[str] = (), wait: str = "1500ms"
) -> tuple[Talker, TalkShared, Stacks]:
    """Return a talker of one frame in 10 ms, what it shares with receivers, and the network."""
    config = config_of(applications=["http"], probes=["tcp/80"], talk={"rate": "100pps", "wait": wait})
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + 9]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, None, bytes(range(16)))
    shared, stacks = Shared(plan), Stacks()
    shared.talk = TalkShared(receivers)
    shared.begin_at(beginning(plan, record_of(resumed=list(resumed))), 0)
    ring = MemoryTxRing(stacks, MemoryRxRing(), 64, 1024)
    return Talker(plan, constants_of(plan, LINK, SOURCES), ring, shared), shared.talk, stacks


def opened(talk: TalkShared, receiver: int, attempts: Sequence[int], first: int = FIRST) -> None:
    """Hand over a SYN-ACK of a target for each of these attempts."""
    for place, attempt in enumerate(attempts):
        talk.events[receiver, place] = OPENED, first + place, 0, attempt, SOURCES[0], 1001, 1, time.time_ns()
    talk.written[receiver] = len(attempts)


def test_a_resumed_run_does_not_talk_to_services_that_answer_a_repeat_of_the_session_before() -> None:
    talks, talk, _ = slow_talker(1, resumed=["2026-11-21T01:00:00Z"])
    opened(talk, 0, (1, 0))  # the original of the first may have been answered before the pause
    while talk.read[0] < 2:
        talks.step()
    assert (talk.counts[REFUSED], talk.counts[TALKS]) == (1, 1)


def test_a_slow_talker_serves_receivers_in_turn() -> None:
    talks, talk, _ = slow_talker(2)
    opened(talk, 0, (0, 0, 0))
    opened(talk, 1, (0, 0, 0), FIRST + 5)
    while talk.read.sum() < 4:
        talks.step()
    assert talk.read.tolist() == [2, 2]


def test_a_talker_resets_a_target_at_once_that_opts_out() -> None:
    talks, talk, stacks = slow_talker(1, wait="1m")
    opened(talk, 0, (0, 0))
    while talk.counts[TALKS] < 2:
        talks.step()
    talks._shared.withdrawn.publish(Intervals.from_bounds([FIRST], [FIRST]))
    while talk.counts[RESETS] < 1:
        talks.step()
    assert str(stacks.sent[FIRST, 80][-1].flags) == "R"
    assert "R" not in {str(segment.flags) for segment in stacks.sent[FIRST + 1, 80]}
    assert talk.counts[WITHDRAWN] == 1


def test_a_slow_talker_resets_all_talks_at_its_end() -> None:
    talks, talk, stacks = slow_talker(1)
    opened(talk, 0, (0,) * 4)
    while talk.read[0] < 3:
        talks.step()
    assert talk.backlog == 1 + 2 * 3
    talk.abort()
    talks.run()
    ends = {target: [str(segment.flags) for segment in sent] for (target, _), sent in stacks.sent.items()}
    assert ends == {FIRST + place: ["A", "R"] for place in range(3)} | {FIRST + 3: ["R"]}
    assert talk.backlog == 0


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"talks": 20_000, "refused": 200}, ""),
        ({"talks": 20_000, "refused": 201}, "201 SYN-ACKs were not talked to, more than 1%"),
        ({"talks": 0, "refused": 100}, ""),
        ({"talks": 20_000, "refused": 5_200, "withdrawn": 6_000, "refused_withdrawn": 5_000}, ""),
        ({"talks": 20_000, "refused": 5_201, "withdrawn": 6_000, "refused_withdrawn": 5_000}, "201 SYN-ACKs were not"),
        ({"talks": 1000, "refused": 1, "no_room": 1}, "1 SYN-ACKs were not talked to because too many talks"),
        ({"talks": 1000, "late": 1}, "1 services waited longer than a second"),
        ({"talks": 1000, "refused": 0, "lost_events": 3, "lost_verdicts": 2}, "5 events of talks were lost"),
        ({}, ""),
    ],
)
def test_a_talker_that_could_not_keep_up_is_reported(tmp_path: Path, counts: dict[str, int], words: str) -> None:
    config = config_of(applications=["http"], probes=["tcp/80"])
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, None, bytes(16))
    directory = RunDirectory.create(tmp_path, "memory", "run")
    conclusion = TalkSinks().conclude(plan, directory, Received(tally=Tally(talk=counts)))
    assert (" ".join(conclusion.problems)[: len(words)], len(conclusion.problems)) == (words, int(bool(words)))
    assert conclusion.fields == {"talk": counts}


@pytest.mark.parametrize(("applications", "wait_s"), [(["http"], 5.5), ([], 4.0)])
def test_a_checkpoint_waits_for_talks_too(tmp_path: Path, applications: list[str], wait_s: float) -> None:
    config = config_of(applications=applications, probes=["tcp/80"], cooldown="4s")
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, None, bytes(16))
    shared, first = Shared(plan), beginning(plan, record_of())
    starts = BlockStarts(plan, shared, first.manifest, print)
    directory = RunDirectory.create(tmp_path, "memory", "run")
    checkpointing = Checkpointing(plan, directory, first, shared, 0.0, starts)
    assert checkpointing._milestones.wait_s == wait_s


def test_nothing_is_compiled_once_a_scan_has_begun() -> None:
    config = config_of(applications=["ssh"], probes=["tcp/22"])
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + len(NAMES) - 1]), Intervals.empty(), lab=True)
    plan = Plan(config, targets, None, bytes(range(16)))
    constants = constants_of(plan, LINK, SOURCES)
    talker.warm_up(plan, constants)
    for kind in plan.sinks:
        kind.warm_up(plan)
    kernels = (
        conversations.take_events,
        due.take_time,
        due.take_withdrawn,
        segments.fill_actions,
        follow.follow_block,
    )
    before = [list(getattr(kernel, "signatures", [])) for kernel in kernels]
    Talked(config)
    assert [list(getattr(kernel, "signatures", [])) for kernel in kernels] == before


def test_without_applications_later_segments_are_rejected_as_before() -> None:
    plain = config_of(applications=[])
    plan = Plan(
        plain, Targets.build(Intervals.from_bounds([FIRST], [FIRST]), Intervals.empty(), lab=True), None, bytes(16)
    )
    constants = constants_of(plan, LINK, SOURCES)
    assert (constants.numbers["application"] == -1).all()
    assert Shared(plan).talk is None
    assert [kind.open for kind in plan.sinks if type(kind).__name__ == "TalkSinks"]
    assert np.all(constants.numbers["request_bytes"] == 0)
