"""Talks with services over the kernel's own TCP: outcomes are exact, and no reset of our kernel leaves."""

import os
import select
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from pyroute2 import IPRoute
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from liveness.config.model import Config, from_document
from liveness.net.rx_packet import PacketRxRing
from liveness.packets.block import pack_block, unpack_block
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import format_address, parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble
from liveness.system.child import fork
from liveness.system.namespace import Namespace
from tests.applications.services import BEHAVIOURS, SPEAKS_FIRST
from tests.net.support import cable, in_private_network

FIRST = 16
ADDRESSES = {f"10.9.0.{FIRST + index}": behaviour for index, behaviour in enumerate(BEHAVIOURS)}
"""And one more address, on which nothing listens: its kernel resets every SYN."""
CLOSED = f"10.9.0.{FIRST + len(BEHAVIOURS)}"
OURS = "10.9.0.1"
PORTS = {"ssh": 22, "telnet": 23, "http": 80, "tls": 443, "cwmp": 7547}
OUTCOME = {
    "right": "answer",
    "wrong": "payload",
    "endless": "answer",
    "split": "payload",
    "fin": "closed",
    "reset": "closed",
}
pytestmark = pytest.mark.lab


def outcome(behaviour: str, port: int) -> str:
    """Return what a talk comes to."""
    if behaviour == "split" and port == 23:
        return "answer"  # a lone IAC
    if behaviour == "mute":
        return "mute" if port in SPEAKS_FIRST else "acked"
    return OUTCOME[behaviour]


@contextmanager
def services(peer: Namespace) -> Iterator[None]:
    """Run the services in the peer's namespace."""

    def addresses() -> None:
        with IPRoute() as there:
            index = there.link_lookup(ifname="v1")[0]
            for address in (*ADDRESSES, CLOSED):
                there.addr("add", index=index, address=address, prefixlen=24)

    peer.run(addresses)
    command = [sys.executable, "-m", "tests.applications.services"]
    command += [f"{address}={behaviour}" for address, behaviour in ADDRESSES.items()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=peer.enter) as process:  # noqa: PLW1509 - one system call in the child
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


@contextmanager
def captured(peer: Namespace, file: Path) -> Iterator[None]:
    """Write every frame that reaches the peer's end of the cable to a file, a line in hex each."""
    list(unpack_block(pack_block([(0, b"compiled")])))
    ready, say_ready = os.pipe()
    stop, say_stop = os.pipe()
    pid = fork()
    if pid == 0:
        try:
            os.close(say_stop)
            peer.enter()
            ring = PacketRxRing("v1", assemble([Instruction(RETURN, ACCEPT)]), 16)
            os.write(say_ready, b"1")
            with file.open("w") as lines:
                while True:
                    stopping = bool(select.select([stop], [], [], 0)[0])
                    block = ring.blocks(0.2)
                    if block is None:
                        if stopping:
                            break
                        continue
                    lines.writelines(f"{frame.hex()}\n" for _, frame in unpack_block(block))
                    ring.release()
            os._exit(0 if not ring.statistics().drops else 1)
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"1"
    try:
        yield
    finally:
        os.close(say_stop)
    assert os.waitpid(pid, 0)[1] == 0


def config_of(folder: str, **changed: object) -> Config:
    return from_document(
        {
            "name": "talks",
            "seed": 5,
            "targets": {"allow": ["10.9.0.16/28"]},
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


def scanned(config: Config) -> tuple[RunDirectory, Manifest]:
    from liveness.scan.run import run_scan  # noqa: PLC0415 - it imports what starts threads

    low = parse_address(f"10.9.0.{FIRST}")
    high = parse_address(CLOSED)
    targets = Targets.build(Intervals.from_bounds([low], [high]), Intervals.empty(), lab=True)
    finished = run_scan(config, targets, on_start=lambda *_: None, on_progress=lambda _: None, on_notice=lambda _: None)
    return finished.directory, finished.manifest


def sets_of(directory: RunDirectory, manifest: Manifest) -> dict[tuple[str, str], set[str]]:
    return {
        (entry.probe, entry.kind): {format_address(address) for address in directory.read_set(entry)}
        for entry in manifest.sets
        if entry.role == "target"
    }


def expected() -> dict[tuple[str, str], set[str]]:
    sets: dict[tuple[str, str], set[str]] = defaultdict(set)
    for port in PORTS.values():
        for address, behaviour in ADDRESSES.items():
            sets[f"tcp/{port}", "syn-ack"].add(address)
            sets[f"tcp/{port}", outcome(behaviour, port)].add(address)
        sets[f"tcp/{port}", "rst"].add(CLOSED)
    return dict(sets)


@in_private_network
def test_every_outcome_is_exact_and_no_reset_of_the_kernel_leaves() -> None:
    with tempfile.TemporaryDirectory() as folder, cable() as peer, services(peer):
        frames = Path(folder) / "frames"
        with captured(peer, frames):
            directory, manifest = scanned(config_of(folder))
        assert (manifest.status, manifest.reason) == ("complete", None)
        assert sets_of(directory, manifest) == expected()
        packets = [Ether(bytes.fromhex(line)) for line in frames.read_text().splitlines()]
        ours = [packet for packet in packets if TCP in packet and packet[IP].src == OURS]
        requests: Counter[tuple[str, int]] = Counter()
        for packet in ours:
            segment = packet[TCP]
            assert segment.flags in ("S", "A", "PA", "R"), segment.flags
            if "A" in segment.flags:
                requests[packet[IP].dst, segment.dport] += 1
            if bytes(segment.payload):
                assert packet[IP].dst in ADDRESSES
        assert set(requests) == {(address, port) for address in ADDRESSES for port in PORTS.values()}
        assert max(requests.values()) <= 2
        assert manifest.talk is not msgspec.UNSET
        assert manifest.talk["talks"] == len(ADDRESSES) * len(PORTS)
        assert manifest.talk["refused"] == manifest.talk["lost_events"] == manifest.talk["lost_verdicts"] == 0
