"""Replays: the packets of a run give its sets again, byte for byte, whoever captured them and however."""

import gzip
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pytest

from liveness.config.model import Config, to_document
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.optouts.redaction import redact_run
from liveness.packets.reply_filter import reply_filter
from liveness.probes.template import LinkAddresses
from liveness.replylog.runlog import settle
from liveness.runs.left_out import add_left_out, load_left_out
from liveness.runs.manifest import Manifest, ProbeCounts, Receive
from liveness.runs.merge import merge
from liveness.runs.optout_record import OPT_OUTS_FILE, KeptOptOuts, load_opt_outs, write_opt_outs
from liveness.runs.rundir import LOCK_FILE, RunDirectory
from liveness.scan.plan import Plan
from liveness.scan.receive.receiver import Receiver
from liveness.scan.receive.set_sink import reception
from liveness.scan.send.sender import Sender
from liveness.scan.session import REPLY_ICMP_TYPES, constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.cli.support import Run, assert_one_line, liveness
from tests.frames import NOW_NS
from tests.packets.captures import Packet, interface, packet_block, pcap, pcapng, section
from tests.packets.test_bpf_machine import kernel_passes
from tests.scan.test_census_in_memory import (
    BEHAVIOURS,
    CONTROL_PORT,
    COUNT,
    FIRST,
    ROUTER,
    SOURCE,
    Network,
    small_config,
)

LINK: Final = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))


@dataclass(frozen=True)
class Lived:
    """A run, what it received, and what a tool beside it would have captured: its own probes too, and strangers."""

    path: Path
    received: list[Packet]
    captured: list[Packet]

    @property
    def manifest(self) -> Manifest:
        return RunDirectory.open(self.path).read_manifest()


class Wire:
    """A network that remembers what passed it in both directions, and damages some of what comes back."""

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        self.random = random.Random(seed)
        self.time_ns = NOW_NS
        self.received: list[Packet] = []
        self.captured: list[Packet] = []

    def __call__(self, frame: bytes) -> list[bytes]:
        self.captured.append((self.time_ns, frame))
        replies = list(self.network(frame))
        for reply in replies:
            self._arrive(reply)
            if self.random.random() < 0.1:  # once more, and one altered on its way
                self._arrive(reply)
                at = self.random.randrange(14 + 20, len(reply))
                self._arrive(reply[:at] + bytes([reply[at] ^ 0x55]) + reply[at + 1 :])
            if self.random.random() < 0.1:
                self.captured.append((self.time_ns, bytes(12) + b"\x08\x06" + bytes(28)))  # ARP
                self.captured.append((self.time_ns, reply[:30] + b"\x01\x02\x03\x04" + reply[34:]))  # to somebody else
        return replies

    def _arrive(self, reply: bytes) -> None:
        self.time_ns += 1_003
        self.received.append((self.time_ns, reply))
        self.captured.append((self.time_ns, reply))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """Scan a network in memory, with both logs."""
    config = small_config(replies="both")
    chosen = random.Random(7)
    behaviours = {FIRST + number: chosen.choice(BEHAVIOURS) for number in chosen.sample(range(COUNT), 200)}
    wire = Wire(Network(behaviours, set()), 7)
    plan = Plan(config, targets(), CONTROL_PORT, bytes(range(16)))
    transmitter = MemoryTxRing(wire, MemoryRxRing(), slots=20 * len(plan.probes) * plan.attempts)
    Sender(plan, constants_of(plan, LINK, (SOURCE,)), transmitter, Shared(plan), 0).run()
    program = reply_filter([SOURCE], plan.cookie.port_first, plan.cookie.port_last, REPLY_ICMP_TYPES)
    passed = kernel_passes(program, [frame for _, frame in wire.received])
    received = [packet for packet, passes in zip(wire.received, passed, strict=True) if passes]
    assert len(received) < len(wire.received)
    return Lived(write_run(tmp_path_factory.mktemp("lived"), config, plan, received), received, wire.captured)


def targets() -> Targets:
    return Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)


def write_run(folder: Path, config: Config, plan: Plan, received: list[Packet]) -> Path:
    """Receive packets as a scan does and write the run directory."""
    directory = RunDirectory.create(folder, "memory", "run")
    ring, shared = MemoryRxRing(packets_a_block=50), Shared(plan)
    for time_ns, frame in received:
        ring.deliver(frame, time_ns)
    shared.finish[0] = 1
    assert Receiver(plan, constants_of(plan, LINK, (SOURCE,)), ring, shared, directory).run() is None
    gathered = merge(directory, directory.segments(), [probe.name for probe in plan.probes], plan.attempts)
    directory.remove_traces()
    directory.write_key(plan.key)
    directory.write_targets(plan.intervals.entries())
    tally = gathered.tally
    directory.write_manifest(
        Manifest(
            name="memory",
            run_id="run",
            status="complete",
            seed=config.seed,
            config=to_document(config),
            started="2026-11-21T00:00:00Z",
            targets=COUNT,
            probes={probe.name: ProbeCounts(sent=[COUNT, COUNT]) for probe in plan.probes},
            control_port=CONTROL_PORT,
            source_addresses=[format_address(SOURCE)],
            receive=Receive(packets=tally.packets),
            log=settle(directory.path, "both", tally.log, tally.accepted, tally.packets),
            **reception(gathered, only_unanswered=False),
        )
    )
    return directory.path


def files(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / "sets").iterdir()}


def check_same(lived: Lived, output: Path) -> Manifest:
    """Check that a replay has the run's sets, byte for byte, and its counts."""
    assert files(output) == files(lived.path)
    before, after = lived.manifest, RunDirectory.open(output).read_manifest()
    for name in ("sets", "messages", "weak", "attempts", "rejected", "recovered_by_retransmit", "missed", "duplicates"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.receive.packets == before.receive.packets
    assert (after.name, after.run_id, after.probes, after.config) == (
        before.name,
        before.run_id,
        before.probes,
        before.config,
    )
    assert not list(output.rglob("*.segment"))
    return after


def test_the_run_is_worth_replaying(lived: Lived) -> None:
    manifest = lived.manifest
    assert len(manifest.sets) > 15
    assert len(manifest.rejected) > 3
    assert sum(manifest.rejected.values()) > 20
    assert manifest.log.complete
    assert {file.file.partition("/")[0] for file in manifest.log.files} == {"replies", "pcap"}
    assert len(lived.captured) > 2 * len(lived.received)


def test_the_run_s_own_packets_give_the_same_sets(lived: Lived, tmp_path: Path) -> None:
    run = liveness("replay", "--run", lived.path, "-o", tmp_path / "out", "--check")
    assert (run.code, run.out) == (0, f"{tmp_path / 'out'}\n")
    assert "identical to the run" in run.err
    manifest = check_same(lived, tmp_path / "out")
    assert (manifest.status, manifest.reason, manifest.loss_warnings) == ("complete", None, [])
    assert manifest.replay is not None
    assert manifest.replay.packets == manifest.replay.passed == len(lived.received)
    assert (tmp_path / "out" / "key").stat().st_mode & 0o777 == 0o600


def test_a_replay_knows_what_the_run_left_out(lived: Lived, tmp_path: Path) -> None:
    shutil.copytree(lived.path, tmp_path / "run")
    add_left_out(tmp_path / "run", Intervals.from_bounds([FIRST + 4], [FIRST + 7]))
    run = liveness("replay", "--run", tmp_path / "run", "-o", tmp_path / "out", "--check")
    assert run.code == 0, run.err
    assert load_left_out(tmp_path / "out") == load_left_out(tmp_path / "run")


def test_targets_that_opted_out_of_a_run_count_in_no_number_of_its_replay(lived: Lived, tmp_path: Path) -> None:
    shutil.copytree(lived.path, tmp_path / "run")
    write_opt_outs(tmp_path / "run", KeptOptOuts(prefixes=[f"{format_address(FIRST + 4)}/30"]))
    run = liveness("replay", "--run", tmp_path / "run", "-o", tmp_path / "out", "--check")
    assert run.code == 0, run.err
    assert load_opt_outs(tmp_path / "out") == load_opt_outs(tmp_path / "run")
    numbers = [json.loads(liveness("analyze", tmp_path / name, "--json").out)["runs"][0] for name in ("run", "out")]
    assert [(each["targets"], each["opted_out"]) for each in numbers] == [(COUNT - 4, 4)] * 2
    assert numbers[0]["taxonomy"] == numbers[1]["taxonomy"]


def test_nothing_is_replayed_if_it_is_not_known_what_was_removed(lived: Lived, tmp_path: Path) -> None:
    shutil.copytree(lived.path, tmp_path / "run")
    (tmp_path / "run" / OPT_OUTS_FILE).write_text("{")
    run = liveness("replay", "--run", tmp_path / "run", "-o", tmp_path / "out")
    assert_one_line(run, 1, str(tmp_path / "run" / OPT_OUTS_FILE), "damaged", "so nothing is replayed")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("older", [False, True], ids=["", "redacted by an older version"])
def test_what_was_removed_from_a_run_is_not_in_a_replay_of_another_capture(
    lived: Lived, tmp_path: Path, older: bool
) -> None:
    """Removed are the data of some targets and of a router; those of targets that opted out in mid-run stay."""
    (tmp_path / "theirs").write_bytes(pcap(lived.captured))
    shutil.copytree(lived.path, tmp_path / "run")
    run = RunDirectory.open(tmp_path / "run")
    write_opt_outs(run.path, KeptOptOuts(prefixes=[f"{format_address(FIRST + 512)}/25"]))
    blocked = Intervals.from_bounds([FIRST + 40], [FIRST + 300])
    router = Intervals.from_bounds([parse_address(ROUTER)], [parse_address(ROUTER)])
    assert redact_run(run, blocked if older else blocked.union(router), []).sets
    if older:
        kept = load_opt_outs(run.path)
        unwanted = blocked.union(kept.withdrawn)
        assert redact_run(run, unwanted, []).sets
        write_opt_outs(run.path, msgspec.structs.replace(load_opt_outs(run.path), removed=[]))
    out = tmp_path / "out"
    done = liveness("replay", tmp_path / "theirs", "--run", run.path, "-o", out, "--check", "--replies")
    assert done.code == 0, done.err
    assert files(out) == files(run.path) != files(lived.path)
    assert load_opt_outs(out).withdrawn == load_opt_outs(run.path).withdrawn
    sql = "SELECT * FROM replies ORDER BY time_ns, target, probe"
    ours, theirs = (liveness("replies", path, "--csv", "--sql", sql).out for path in (out, run.path))
    assert ours == theirs
    manifest = RunDirectory.open(out).read_manifest()
    assert (manifest.status, manifest.targets) == ("complete", run.read_manifest().targets)
    assert not (out / LOCK_FILE).exists()
    again = liveness("replay", tmp_path / "theirs", "--run", out, "-o", tmp_path / "again", "--check")
    assert again.code == 0, again.err


def in_raw_ip(packets: list[Packet]) -> bytes:
    return pcap([(time_ns, frame[14:]) for time_ns, frame in packets if frame[12:14] == b"\x08\x00"], link=101)


def in_cooked(packets: list[Packet]) -> bytes:
    """As tcpdump -i any captures: what this host sent is marked so."""
    cooked = []
    for time_ns, frame in packets:
        kind = 4 if frame[6:12] == LINK.own else 0
        cooked.append((time_ns, frame[12:14] + struct.pack(">HIHBB8s", 0, 3, 1, kind, 6, bytes(8)) + frame[14:]))
    return pcap(cooked, link=276)


def in_sections(packets: list[Packet]) -> bytes:
    half = len(packets) // 2
    parts = (("<", packets[:half]), (">", packets[half:]))
    return b"".join(
        section(order) + interface(order) + b"".join(packet_block(frame, at // 1000, order) for at, frame in some)
        for order, some in parts
    )


FORMATS: Final[dict[str, Callable[[list[Packet]], bytes]]] = {
    "nanoseconds": pcap,
    "microseconds": lambda packets: pcap(packets, nano=False),
    "big-endian": lambda packets: pcap(packets, order=">", nano=False),
    "pcapng": pcapng,
    "sections": in_sections,
    "raw IP": in_raw_ip,
    "cooked": in_cooked,
}


@pytest.mark.parametrize("name", FORMATS)
def test_another_tool_s_capture_gives_the_same_sets(lived: Lived, tmp_path: Path, name: str) -> None:
    """It holds our probes and strangers' packets, too: they are neither replies nor rejected ones."""
    (tmp_path / "theirs").write_bytes(FORMATS[name](lived.captured))
    run = liveness("replay", tmp_path / "theirs", "--run", lived.path, "-o", tmp_path / "out", "--check", "--json")
    assert run.code == 0, run.err
    manifest = check_same(lived, tmp_path / "out")
    document = json.loads(run.out)
    assert document["identical"] is True
    assert document["comparison"]["same"] == document["sets"] == len(manifest.sets)
    assert document["replay"]["passed"] == len(lived.received) < document["replay"]["packets"]


def test_several_captures_a_folder_and_a_stream(lived: Lived, tmp_path: Path) -> None:
    third = len(lived.captured) // 3
    parts = [lived.captured[:third], lived.captured[third : 2 * third], lived.captured[2 * third :]]
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "1.pcap").write_bytes(pcap(parts[0]))
    (folder / "2.pcapng").write_bytes(pcapng(parts[1]))
    (folder / "3.cap.gz").write_bytes(gzip.compress(pcap(parts[2])))
    (folder / "notes.txt").write_text("not one of them")
    assert liveness("replay", folder, "--run", lived.path, "-o", tmp_path / "a", "--check").code == 0
    check_same(lived, tmp_path / "a")
    rest = [folder / "1.pcap", folder / "2.pcapng", "-"]
    command = [sys.executable, "-m", "liveness", "replay", *rest, "--run", lived.path, "-o", tmp_path / "b", "--check"]
    done = subprocess.run([str(word) for word in command], input=pcap(parts[2]), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    manifest = check_same(lived, tmp_path / "b")
    assert manifest.replay is not None
    assert manifest.replay.captures[-1] == "standard input"


def test_a_replay_can_keep_the_log_of_replies(lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(pcap(lived.captured))
    run = liveness("replay", tmp_path / "theirs", "--run", lived.path, "-o", tmp_path / "out", "--replies", "-q")
    assert (run.code, run.err) == (0, "")
    sql = "SELECT * FROM replies ORDER BY time_ns, target, probe"
    ours, theirs = (liveness("replies", path, "--csv", "--sql", sql).out for path in (tmp_path / "out", lived.path))
    assert ours == theirs
    assert ours.count("\n") > 500
    check_same(lived, tmp_path / "out")


def test_the_default_place_is_next_to_the_user(lived: Lived, tmp_path: Path) -> None:
    run = liveness("replay", "--run", lived.path, cwd=tmp_path)
    assert run.out == "replay/memory/run\n"
    check_same(lived, tmp_path / "replay" / "memory" / "run")
    again = liveness("replay", "--run", lived.path, cwd=tmp_path)
    assert_one_line(again, 2, "replay/memory/run", "exists already")


def test_a_difference_is_reported_and_checked(lived: Lived, tmp_path: Path) -> None:
    fewer = [packet for packet in lived.received if (packet[1][23], packet[1][34]) != (1, 0)]  # without echo replies
    (tmp_path / "fewer.pcap").write_bytes(pcap(fewer))
    run = liveness("replay", tmp_path / "fewer.pcap", "--run", lived.path, "-o", tmp_path / "a")
    assert run.code == 0
    assert "differs from the run: " in run.err
    run = liveness("replay", tmp_path / "fewer.pcap", "--run", lived.path, "-o", tmp_path / "b", "--check", "-q")
    assert run.code == 1
    assert run.err.startswith(f"liveness: error: {lived.path}: differs from the run")
    assert "sets/icmp.echo-reply.direct.roaring" in run.err
    assert "other counts of messages" in run.err
    assert run.err.count("\n") == 1


def test_another_key_finds_nothing_strong(lived: Lived, tmp_path: Path) -> None:
    """The judge is no rubber stamp: everything depends on the key of the run."""
    other = Path(shutil.copytree(lived.path, tmp_path / "other"))
    RunDirectory.open(other).write_key(bytes(16))
    run = liveness("replay", "--run", other, "-o", tmp_path / "out", "--check", "--json", "-q")
    assert run.code == 1
    manifest = RunDirectory.open(tmp_path / "out").read_manifest()
    strong = sum(sum(counts.values()) for counts in manifest.messages.values()) - sum(
        sum(counts.values()) for counts in manifest.weak.values()
    )
    assert strong == 0


def test_a_run_that_crashed_gets_its_sets(lived: Lived, tmp_path: Path) -> None:
    crashed = Path(shutil.copytree(lived.path, tmp_path / "crashed"))
    shutil.rmtree(crashed / "sets")
    manifest = msgspec.structs.replace(lived.manifest, status="running", sets=[], messages={}, attempts={}, rejected={})
    RunDirectory.open(crashed).write_manifest(manifest)
    run = liveness("replay", "--run", crashed, "-o", tmp_path / "out")
    assert run.code == 0
    assert "the run has no sets to compare with" in run.err
    replayed = check_same(lived, tmp_path / "out")
    assert (replayed.status, replayed.reason) == ("partial", "the scan never came to its end")
    checked = liveness("replay", "--run", crashed, "-o", tmp_path / "b", "--check", "-q")
    assert (checked.code, "no sets to compare with" in checked.err) == (2, True)


def replayed(lived: Lived, content: bytes, tmp_path: Path) -> Run:
    (tmp_path / "x.pcap").write_bytes(content)
    return liveness("replay", tmp_path / "x.pcap", "--run", lived.path, "-o", tmp_path / "out", "-q")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"a text, not a capture\n", "not a capture: it begins with 61207465"),
        (b"\xd4\xc3", "not a capture"),
        (pcap([(1, bytes(40))], link=105), "link type 105"),
    ],
)
def test_what_is_no_capture_leaves_nothing(lived: Lived, tmp_path: Path, content: bytes, words: str) -> None:
    assert_one_line(replayed(lived, content, tmp_path), 2, "x.pcap", words)
    assert not (tmp_path / "out").exists()


def test_captures_that_are_not_there(lived: Lived, tmp_path: Path) -> None:
    for path, words in ((tmp_path / "none", "no such capture"), (tmp_path, "no capture in this directory")):
        assert_one_line(liveness("replay", path, "--run", lived.path, "-o", tmp_path / "out"), 2, str(path), words)
    assert_one_line(liveness("replay", tmp_path, "--run", tmp_path), 2, "not a run directory")
    bare = Path(shutil.copytree(lived.path, tmp_path / "bare", ignore=shutil.ignore_patterns("pcap", "key")))
    assert_one_line(liveness("replay", "--run", bare), 2, str(bare), "keeps no packets")
    (tmp_path / "c.pcap").write_bytes(pcap([]))
    assert_one_line(liveness("replay", tmp_path / "c.pcap", "--run", bare, "-o", tmp_path / "out"), 1, "key")
    assert not (tmp_path / "out").exists()


def test_captures_without_a_reply(lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "c.pcap").write_bytes(pcap([]))
    run = liveness("replay", tmp_path / "c.pcap", "--run", lived.path, "-o", tmp_path / "empty")
    assert run.code == 0
    assert "no packet can be a reply to this run" in run.err
    assert RunDirectory.open(tmp_path / "empty").read_manifest().sets == []
    for packets, words in (
        ([(1, bytes(12) + b"\x86\xdd" + bytes(40))], "none of the packets is IPv4"),
        ([(1, frame) for _, frame in lived.captured[:1]], "of 1 packets 1 are IPv4"),
    ):
        (tmp_path / "c.pcap").write_bytes(pcap(packets))
        run = liveness("replay", tmp_path / "c.pcap", "--run", lived.path, "-o", tmp_path / "foreign")
        assert_one_line(run, 2, "c.pcap: no packet can be a reply to this run", words)
        assert not (tmp_path / "foreign").exists()


AROUND: Final[dict[str, Callable[[bytes], bytes]]] = {
    "MPLS": lambda frame: frame[:12] + b"\x88\x47\x00\x01\x00\x40\x00\x02\x01\x40" + frame[14:],
    "PPPoE": lambda frame: frame[:12] + b"\x88\x64\x11\x00\x00\x07\x00\x40\x00\x21" + frame[14:],
    "LLC": lambda frame: frame[:12] + b"\x00\x40\xaa\xaa\x03\x00\x00\x00\x08\x00" + frame[14:],
    "QinQ": lambda frame: frame[:12] + b"\x88\xa8\x00\x07\x81\x00\x00\x08" + frame[12:],
}


@pytest.mark.parametrize("around", AROUND)
def test_what_replies_lie_within_is_named_and_read(lived: Lived, tmp_path: Path, around: str) -> None:
    wrapped = [(time, AROUND[around](frame)) for time, frame in lived.received]
    (tmp_path / "c.pcap").write_bytes(pcap(wrapped))
    run = liveness("replay", tmp_path / "c.pcap", "--run", lived.path, "-o", tmp_path / "out", "--check")
    assert run.code == 0, run.err
    assert "identical to the run" in run.err
    assert "none of the packets is IPv4" not in run.err
    assert (f"{len(wrapped):,} packets within {around}" in run.err) == (around != "QinQ")


def test_packets_cut_by_the_snap_length_are_counted_apart(lived: Lived, tmp_path: Path) -> None:
    content = bytearray(pcap([(time, frame[:40]) for time, frame in lived.received]))
    at = 24
    for _, frame in lived.received:
        size = min(len(frame), 40)
        content[at + 12 : at + 16] = len(frame).to_bytes(4, sys.byteorder)
        at += 16 + size
    (tmp_path / "c.pcap").write_bytes(content)
    run = liveness("replay", tmp_path / "c.pcap", "--run", lived.path, "-o", tmp_path / "out")
    cut = sum(len(frame) > 40 for _, frame in lived.received)
    assert f"{cut:,} packets cut by the snap length" in run.err


def test_a_check_of_a_damaged_capture_says_that_it_is_damaged(lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "c.pcap").write_bytes(pcap(lived.received)[:-1])
    run = liveness("replay", tmp_path / "c.pcap", "--run", lived.path, "-o", tmp_path / "out", "--check", "-q")
    assert run.code == 1
    assert "differs from the run" in run.err
    assert "are no whole packet" in run.err


def test_a_capture_that_is_cut_is_used_as_far_as_it_goes(lived: Lived, tmp_path: Path) -> None:
    whole = pcap(lived.received)
    run = replayed(lived, whole[:-1], tmp_path)
    last = 16 + len(lived.received[-1][1]) - 1
    assert (run.code, run.err.count("\n")) == (5, 1)
    assert run.err.startswith(f"liveness: error: {tmp_path}/x.pcap: cut: its last {last} bytes are no whole packet")
    manifest = RunDirectory.open(tmp_path / "out").read_manifest()
    assert manifest.status == "partial"
    assert manifest.receive.packets == len(lived.received) - 1
    assert manifest.loss_warnings == [run.err.removeprefix("liveness: error: ").strip()]


def test_a_capture_that_is_damaged_within(lived: Lived, tmp_path: Path) -> None:
    content = bytearray(pcap(lived.received))
    at = 24 + sum(16 + len(frame) for _, frame in lived.received[:100])
    content[at + 8 : at + 12] = b"\xff" * 4
    run = replayed(lived, bytes(content), tmp_path)
    assert run.code == 5
    assert f"damaged at byte {at:,}: the {len(content) - at:,} bytes from there on cannot be read" in run.err
    manifest = RunDirectory.open(tmp_path / "out").read_manifest()
    assert manifest.receive.packets == 100
    assert manifest.sets


def test_an_endless_stream_ends_with_the_user_s_patience(lived: Lived, tmp_path: Path) -> None:
    """What came so far is written; the stream goes on meanwhile."""
    command = [sys.executable, "-m", "liveness", "replay", "-", "--run", lived.path, "-o", tmp_path / "out", "-q"]
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(pcap(lived.captured) + b"half a rec")
        process.stdin.flush()
        while not (tmp_path / "out").exists():
            time.sleep(0.02)
            assert process.poll() is None
        time.sleep(2)
        os.kill(process.pid, signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (130, b"")
    manifest = check_same(lived, tmp_path / "out")
    assert (manifest.status, manifest.reason) == ("partial", "the replay was interrupted by SIGINT")


@pytest.mark.parametrize(("field", "value"), [("name", "../../x"), ("run_id", "/x/y"), ("run_id", "")])
def test_a_replay_goes_nowhere_but_where_it_says(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: str
) -> None:
    other = Path(shutil.copytree(lived.path, tmp_path / "other"))
    (tmp_path / "one" / "two").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "one" / "two")
    RunDirectory.open(other).write_manifest(msgspec.structs.replace(lived.manifest, **{field: value}))
    failed = liveness("replay", "--run", other)
    assert_one_line(failed, 2, "manifest.json", f"$.{field}", "--output")
    assert "\x1b" not in failed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]
    assert not any((tmp_path / "one" / "two").iterdir())


def test_what_is_wrong_with_the_run_is_named(lived: Lived, tmp_path: Path) -> None:
    other = Path(shutil.copytree(lived.path, tmp_path / "other"))
    manifest = lived.manifest
    RunDirectory.open(other).write_manifest(msgspec.structs.replace(manifest, config={"name": 3}))
    assert_one_line(liveness("replay", "--run", other, "-o", tmp_path / "out"), 2, "manifest.json", "$.config")
    RunDirectory.open(other).write_manifest(msgspec.structs.replace(manifest, source_addresses=[]))
    assert_one_line(
        liveness("replay", "--run", other, "-o", tmp_path / "out"), 1, "manifest.json", "$.source_addresses"
    )
    RunDirectory.open(other).write_manifest(manifest)
    (other / "targets.txt").write_text("10.0.0.300\n")
    assert_one_line(liveness("replay", "--run", other, "-o", tmp_path / "out"), 2, "targets.txt", "10.0.0.300")
    assert not (tmp_path / "out").exists()
