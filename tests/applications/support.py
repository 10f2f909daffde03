"""Scans that talk, over a cable to a namespace, and captures of both ends."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from liveness.config.model import Config, from_document
from liveness.net.rx_packet import PacketRxRing
from liveness.packets.block import pack_block, unpack_block
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble
from liveness.system.child import fork, run_in_child
from liveness.system.namespace import Namespace

OURS, FAR = "10.9.0.1", "10.9.0.2"
PORTS = {"ssh": 22, "telnet": 23, "http": 80, "tls": 443, "cwmp": 7547}
MARKER = b"the scan is over"
RING_MIB = 16
LEAST_WAIT_S = 1.0
"""The peer has longer than that for its answer: the shortest `talk.wait` here is 4 s, and a repeat comes after 1 s."""
WITHIN_S = 60
"""Time for what takes milliseconds on a machine that has nothing else to do."""

Sets = dict[tuple[str, str], set[str]]


def own(peer: Namespace, addresses: Sequence[str]) -> None:
    """Give the far end of the cable more addresses."""

    def add() -> None:
        with IPRoute() as there:
            index = there.link_lookup(ifname="v1")[0]
            for address in addresses:
                there.addr("add", index=index, address=address, prefixlen=24)

    peer.run(add)


@contextmanager
def services(peer: Namespace, behaviours: Mapping[str, str], *silent: str) -> Iterator[None]:
    """Run services at the far end, with a behaviour for each address; on the `silent` addresses nothing listens."""
    own(peer, (*behaviours, *silent))
    command = [sys.executable, "-m", "tests.applications.services"]
    command += [f"{address}={behaviour}" for address, behaviour in behaviours.items()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=peer.enter) as process:  # noqa: PLW1509 - one system call in the child
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


def config_of(folder: str, **changed: object) -> Config:
    return from_document(
        {
            "name": "talks",
            "seed": 5,
            "targets": {"allow": ["10.9.0.0/24"]},
            "probes": [f"tcp/{port}" for port in PORTS.values()],
            "applications": list(PORTS),
            "talk": {"wait": "4s"},
            "rate": "100pps",
            "block_prefix": 24,
            "probe_spacing": "10ms",
            "cooldown": "1s",
            "retransmit": {"attempts": 2, "queue": 4},
            "network": {"interface": "v0", "source_ports": "20000-29999"},
            "control": False,
            "output": folder,
            **changed,
        }
    )


def scanned(config: Config, addresses: Sequence[str]) -> tuple[RunDirectory, Manifest]:
    """Scan the range of some addresses, in a child: a scan gives up the privileges of its process."""
    numbers = [parse_address(address) for address in addresses]
    targets = Targets.build(Intervals.from_bounds([min(numbers)], [max(numbers)]), Intervals.empty(), lab=True)

    def scan() -> Path:
        from liveness.scan.run import run_scan  # noqa: PLC0415 - it imports what starts threads

        nobody: dict[str, Any] = {
            "on_start": lambda *_: None,
            "on_progress": lambda _: None,
            "on_notice": lambda _: None,
        }
        return run_scan(config, targets, **nobody).directory.path

    directory = RunDirectory.open(run_in_child(scan))
    return directory, directory.read_manifest()


def sets_of(directory: RunDirectory, manifest: Manifest) -> Sets:
    """Return the targets of each probe and kind."""
    return {
        (entry.probe, entry.kind): {format_address(address) for address in directory.read_set(entry)}
        for entry in manifest.sets
        if entry.role == "target"
    }


@contextmanager
def captured(peer: Namespace) -> Iterator[list[Packet]]:
    """Capture TCP at both ends of the cable; the packets are there once the block has ended, in order of arrival."""
    list(unpack_block(pack_block([(0, b"compiled")])))
    packets: list[Packet] = []
    ready, say_ready = os.pipe()
    frames, give_frames = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.close(frames)
            _capture(peer, say_ready, give_frames)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(say_ready)
    os.close(give_frames)
    with os.fdopen(ready, "rb") as readiness, os.fdopen(frames, "rb") as lines:
        assert readiness.read(1) == b"1"
        try:
            yield packets
            peer.run(lambda: _send_marker(OURS))
            _send_marker(FAR)
            found = [line.decode().split() for line in lines]
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            _, status = os.waitpid(pid, 0)
    assert status == 0, "the capture failed, or the kernel dropped frames"
    for time_ns, frame in found:
        packet = Ether(bytes.fromhex(frame))
        if TCP in packet:
            packet[IP].time = int(time_ns) / 1e9
            packets.append(packet[IP])


def _capture(peer: Namespace, say_ready: int, give_frames: int) -> None:
    """Capture what reaches either end until both markers have; write the frames in order of arrival, a line each."""
    everything = assemble([Instruction(RETURN, ACCEPT)])
    rings = [PacketRxRing("v0", everything, RING_MIB)]
    peer.enter()
    rings.append(PacketRxRing("v1", everything, RING_MIB))
    os.write(say_ready, b"1")
    frames: list[tuple[int, bytes]] = []
    awaited = set(range(len(rings)))
    while awaited:
        for end, ring in enumerate(rings):
            if (block := ring.blocks(0.1)) is None:
                continue
            came = list(unpack_block(block))
            ring.release()
            frames += came
            if any(MARKER in frame for _, frame in came):
                awaited.discard(end)
    assert not any(ring.statistics().drops for ring in rings)
    with os.fdopen(give_frames, "w") as lines:
        lines.writelines(f"{time_ns} {frame.hex()}\n" for time_ns, frame in sorted(frames))


def _send_marker(other: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        handle.sendto(MARKER, (other, 9))


def connections_left(peer: Namespace) -> list[str]:
    """Return the TCP sockets of the far end that do not listen, as addresses, ports and state in hexadecimal."""

    def states() -> list[str]:
        lines = Path(f"/proc/{os.getpid()}/net/tcp").read_text().splitlines()[1:]
        return [" ".join(line.split()[1:4]) for line in lines if line.split()[3] != "0A"]

    return peer.run(states)


def requests_in(packets: Sequence[Packet]) -> Counter[tuple[str, int]]:
    """Return how often each service was sent its request; check the order and the numbers of every segment of ours.

    A connection gets a SYN, at most one request and one repeat of it that both follow the SYN-ACK, and resets: in the
    connection that is talked on not before the peer has sent data or ended it, or has had time for that.
    """
    talks: dict[tuple[str, int], set[int]] = defaultdict(set)
    requests: Counter[tuple[str, int]] = Counter()
    syn: dict[tuple[str, int, int], int] = {}
    syn_ack: dict[tuple[str, int, int], int] = {}
    ended: set[tuple[str, int, int]] = set()
    asked_s: dict[tuple[str, int, int], float] = {}
    for packet in packets:
        segment = packet[TCP]
        flags, size = str(segment.flags), len(segment.payload)
        if packet.src != OURS:
            connection = packet.src, segment.sport, segment.dport
            if flags == "SA":
                syn_ack[connection] = segment.seq
            elif packet.len - 4 * packet.ihl - 4 * segment.dataofs or "F" in flags or "R" in flags:
                ended.add(connection)
            continue
        connection = packet.dst, segment.dport, segment.sport
        service = connection[:2]
        if flags == "S":
            assert size == 0
            syn[connection] = segment.seq
        elif flags == "R":
            assert connection in syn_ack
            if connection[2] in talks[service]:
                over = connection in ended or float(packet.time) - asked_s[connection] >= LEAST_WAIT_S
                assert over, f"a reset in the middle of the talk with {connection}"
        else:
            assert flags in ("A", "PA"), flags
            assert (segment.seq, segment.ack) == (
                (syn[connection] + 1) % 2**32,
                (syn_ack[connection] + 1) % 2**32,
            )
            talks[service].add(connection[2])
            requests[service] += 1
            asked_s[connection] = float(packet.time)
            assert flags == ("A", "PA")[requests[service] - 1]
    assert all(len(ports) == 1 for ports in talks.values() if ports)
    return requests


def resets_in(packets: Sequence[Packet]) -> int:
    """Return how many resets came from our side, of the talker or of the kernel."""
    return sum(packet.src == OURS and "R" in str(packet[TCP].flags) for packet in packets)
