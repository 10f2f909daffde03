"""Runs a command in a lab while the core router floods the scanner with forged replies.

Usage: python -m tests.census.flood LAB_FILE REPORT_FILE COUNT FIRST LAST COMMAND [ARGUMENT]... - COUNT packets that
claim to come from addresses FIRST to LAST, from the ports probed to ports the scanner sends from, with cookies out of
the air and right checksums. The report is a JSON document: packets sent by kind. Leaves with the command's exit code.
"""

import json
import os
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.system.child import fork
from liveness.system.namespace import enter_private_network
from tests.census.capture import LINK_TO_SCANNER

SCANNER: Final = 0x0AFF0002
PORTS: Final = (32768, 61000)
TCP_PORTS: Final = (22, 23, 80, 443, 7547)
KINDS: Final = ("echo-reply", "syn-ack", "rst-ack", "rst", "dns", "ntp", "error-icmp", "error-tcp", "error-udp")
BATCH: Final = 1024
FRAME: Final = 96
SEED: Final = 2018

Frames = NDArray[np.uint8]
Random = np.random.Generator


def main() -> int:
    """Build the lab, flood from the router while the command runs; return the command's exit code."""
    lab_file, report, count, first, last, *command = sys.argv[1:]
    enter_private_network()
    # what these import may start threads, and a user namespace wants one
    from liveness.lab.load import load_internet  # noqa: PLC0415
    from liveness.lab.supervisor import Lab  # noqa: PLC0415
    from liveness.lab.tools import Tools  # noqa: PLC0415

    with Lab(load_internet(lab_file), Tools()) as lab:
        router = lab.router()
        pid = fork()
        if pid == 0:
            try:
                router.enter()
                sent = flood(int(count), int(first), int(last))
                Path(report).write_text(json.dumps(sent))
                os._exit(0)
            except BaseException:  # noqa: BLE001 - whatever it is, somebody shall see it
                traceback.print_exc()
            finally:
                os._exit(1)
        done = subprocess.run(command, check=False)
        _, status = os.waitpid(pid, 0)
        return done.returncode or os.waitstatus_to_exitcode(status)


def flood(count: int, first: int, last: int) -> dict[str, int]:
    """In the router: send so many forged packets to the scanner; return how many of each kind."""
    from liveness.net.links import find_link  # noqa: PLC0415
    from liveness.net.tx_packet import PacketTxRing  # noqa: PLC0415

    ring = PacketTxRing(LINK_TO_SCANNER, FRAME)
    ours = find_link(LINK_TO_SCANNER).mac
    theirs = first_probe()[6:12]
    random = np.random.default_rng(SEED)
    sent = dict.fromkeys(KINDS, 0)
    lengths = np.zeros(len(ring.frames), np.uint16)
    while (left := count - sum(sent.values())) > 0:
        start, room = ring.reserve(min(BATCH, left))
        if room == 0:
            ring.kick()
            ring.wait(0.05)
            continue
        kind = KINDS[int(random.integers(len(KINDS)))]
        frames = forge(kind, room, first, last, random)
        ring.frames[start : start + room, :12] = np.frombuffer(theirs + ours, np.uint8)
        ring.frames[start : start + room, 12:14] = (8, 0)
        ring.frames[start : start + room, 14 : 14 + frames.shape[1]] = frames
        lengths[start : start + room] = 14 + frames.shape[1]
        ring.commit(room, lengths)
        ring.kick()
        sent[kind] += room
    ring.flush(10)
    return sent


def first_probe() -> bytes:
    """Wait for the first probe of the scan, and return it: the flood begins with the census."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as link:
        link.bind((LINK_TO_SCANNER, 0x0800))
        while True:
            frame = link.recv(2048)
            if frame[26:30] == SCANNER.to_bytes(4, "big"):
                return frame


def forge(kind: str, count: int, first: int, last: int, random: Random) -> Frames:
    """Return so many IP packets (count, length) of one kind, each with cookies of its own."""
    target = random.integers(first, last + 1, count)
    if kind.startswith("error"):
        quote = _error_quote(kind, count, target, random)
        return _ip(1, target, np.full(count, SCANNER), _icmp(3, 1, np.zeros((count, 4), np.uint8), quote))
    if kind == "echo-reply":
        payload = _noise(random, count, 24)
        return _ip(1, target, np.full(count, SCANNER), _icmp(0, 0, _noise(random, count, 4), payload))
    port = random.integers(PORTS[0], PORTS[1] + 1, count)
    if kind in ("dns", "ntp"):
        return _udp(kind, count, target, port, random)
    flags = {"syn-ack": 0x12, "rst-ack": 0x14, "rst": 0x04}[kind]
    segment = np.zeros((count, 20), np.uint8)
    _put16(segment, 0, random.choice(TCP_PORTS, count))
    _put16(segment, 2, port)
    segment[:, 4:12] = _noise(random, count, 8)
    segment[:, 12], segment[:, 13] = 0x50, flags
    return _ip(6, target, np.full(count, SCANNER), _finish(segment, 16, _pseudo(target, 6, 20)))


def _udp(kind: str, count: int, target: NDArray[np.int64], port: NDArray[np.int64], random: Random) -> Frames:
    datagram = np.concatenate([np.zeros((count, 8), np.uint8), _noise(random, count, 48)], axis=1)
    datagram[:, 8] = 0x24 if kind == "ntp" else datagram[:, 8]
    datagram[:, 10] |= 0x80 if kind == "dns" else 0
    _put16(datagram, 0, np.full(count, 53 if kind == "dns" else 123))
    _put16(datagram, 2, port)
    _put16(datagram, 4, np.full(count, 56))
    return _ip(17, target, np.full(count, SCANNER), _finish(datagram, 6, _pseudo(target, 17, 56)))


def _error_quote(kind: str, count: int, target: NDArray[np.int64], random: Random) -> Frames:
    protocol = {"error-icmp": 1, "error-tcp": 6, "error-udp": 17}[kind]
    quoted = _noise(random, count, 8)
    if protocol != 1:
        ports = (53, 123) if protocol == 17 else TCP_PORTS
        _put16(quoted, 0, random.integers(PORTS[0], PORTS[1] + 1, count))
        _put16(quoted, 2, random.choice(ports, count))
    else:
        quoted[:, 0:2] = (8, 0)
    packet = _ip(protocol, np.full(count, SCANNER), target, quoted)
    packet[:, 4:6] = _noise(random, count, 2)
    return packet


def _noise(random: Random, count: int, length: int) -> Frames:
    return random.integers(0, 256, (count, length), dtype=np.uint8)


def _put16(rows: Frames, at: int, values: NDArray[np.int64]) -> None:
    rows[:, at], rows[:, at + 1] = values >> 8, values & 0xFF


def _put32(rows: Frames, at: int, values: NDArray[np.int64]) -> None:
    _put16(rows, at, values >> 16)
    _put16(rows, at + 2, values & 0xFFFF)


def _finish(rows: Frames, at: int, more: NDArray[np.int64] | int = 0) -> Frames:
    """Put the Internet checksum of each row, and of `more`, at `at`."""
    rows[:, at : at + 2] = 0
    words = rows[:, 0::2].astype(np.int64) << 8 | rows[:, 1::2]
    total = words.sum(axis=1) + more
    for _ in range(2):
        total = (total & 0xFFFF) + (total >> 16)
    _put16(rows, at, ~total & 0xFFFF)
    return rows


def _pseudo(source: NDArray[np.int64], protocol: int, length: int) -> NDArray[np.int64]:
    return (source >> 16) + (source & 0xFFFF) + (SCANNER >> 16) + (SCANNER & 0xFFFF) + protocol + length


def _icmp(kind: int, code: int, rest: Frames, content: Frames) -> Frames:
    message = np.concatenate([np.zeros((len(rest), 4), np.uint8), rest, content], axis=1)
    message[:, 0], message[:, 1] = kind, code
    return _finish(message, 2)


def _ip(protocol: int, source: NDArray[np.int64], destination: NDArray[np.int64], content: Frames) -> Frames:
    header = np.zeros((len(content), 20), np.uint8)
    header[:, 0], header[:, 8], header[:, 9] = 0x45, 60, protocol
    _put16(header, 2, np.full(len(content), 20 + content.shape[1]))
    _put32(header, 12, source)
    _put32(header, 16, destination)
    return np.concatenate([_finish(header, 10), content], axis=1)


if __name__ == "__main__":
    sys.exit(main())
