"""A far end whose TCP services speak: every second target has HTTP on port 80, whatever the number of connections.

It keeps nothing of a connection. The kernel of its namespace has no address and sends nothing.
"""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyroute2 import IPRoute

from liveness.errors import LivenessError
from liveness.kernel import int64, kernel
from liveness.net.links import LAB_MARKER
from liveness.net.ring import TxRing
from liveness.net.rx_packet import PacketRxRing
from liveness.net.transport import AF_PACKET, open_transport
from liveness.packets import headers as hdr
from liveness.packets.block import captured_length, first_packet, frame_start, next_packet, pack_block, packet_count
from liveness.packets.bytes import put_be16, put_be32, read_be16, read_be32
from liveness.probes.template import TRANSPORT_AT
from liveness.scan.process import Child
from liveness.system.bpf import ACCEPT, RETURN, Instruction, assemble
from liveness.system.namespace import Namespace, spawn_namespace
from scripts.benchmarks.far_end import FAR, FAR_ADDRESS, FAR_MAC, NEAR, NEAR_ADDRESS, NEAR_MAC, address_end, quiet
from scripts.benchmarks.replies import finish, put, swap_ports

SLOT_BYTES: Final = 128
RING_MIB: Final = 64
WINDOW: Final = 64_240
ANSWER: Final = np.frombuffer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", np.uint8).copy()
WAIT_S: Final = 0.05
FLUSH_S: Final = 2.0
END_WITHIN_S: Final = 60.0
HTTP_PORT: Final = 80

SYNS, SYN_ACKS, REQUESTS, REPEATS, RESETS, OTHERS, COUNTS = range(7)
_DATA_AT: Final = TRANSPORT_AT + hdr.TCP_MIN_LENGTH


class Seen(NamedTuple):
    """What the far end received and sent, frames."""

    syns: int
    syn_acks: int
    requests: int
    repeats: int
    """Requests with PSH."""
    resets: int
    others: int
    dropped: int
    """Frames for which its receive ring had no room."""


@kernel
def _answer(frame: NDArray[np.uint8], reply: NDArray[np.uint8], flags: int, data: int) -> int:
    """Write the answer to a SYN or a request; return where it ends."""
    reply[:] = 0
    swap_ports(reply, frame)
    sequence = read_be32(frame, TRANSPORT_AT + hdr.TCP_SEQUENCE)
    if flags == hdr.TCP_FLAG_SYN:
        put_be32(reply, TRANSPORT_AT + hdr.TCP_SEQUENCE, sequence ^ 0x5BD1E995)
        put_be32(reply, TRANSPORT_AT + hdr.TCP_ACKNOWLEDGMENT, (sequence + 1) & 0xFFFFFFFF)
        reply[TRANSPORT_AT + hdr.TCP_FLAGS] = hdr.TCP_FLAG_SYN | hdr.TCP_FLAG_ACK
        end = _DATA_AT
    else:
        put_be32(reply, TRANSPORT_AT + hdr.TCP_SEQUENCE, read_be32(frame, TRANSPORT_AT + hdr.TCP_ACKNOWLEDGMENT))
        put_be32(reply, TRANSPORT_AT + hdr.TCP_ACKNOWLEDGMENT, (sequence + data) & 0xFFFFFFFF)
        reply[TRANSPORT_AT + hdr.TCP_FLAGS] = hdr.TCP_FLAG_PSH | hdr.TCP_FLAG_ACK
        end = put(reply, _DATA_AT, ANSWER, 0, len(ANSWER))
    reply[TRANSPORT_AT + hdr.TCP_DATA_OFFSET] = hdr.TCP_MIN_LENGTH << 2
    put_be16(reply, TRANSPORT_AT + hdr.TCP_WINDOW, WINDOW)
    finish(reply, frame, hdr.PROTOCOL_TCP, end)
    return end


@kernel
def answer_block(
    block: NDArray[np.uint8],
    answering: bool,
    replies: NDArray[np.uint8],
    lengths: NDArray[np.uint16],
    counts: NDArray[np.int64],
) -> int:
    """Answer the frames of a block into rows of `replies`, with their `lengths`; return how many there are."""
    at, made = first_packet(block), 0
    for _ in range(packet_count(block)):
        start, captured = frame_start(block, at), captured_length(block, at)
        at = next_packet(block, at)
        frame = block[start : start + captured]
        is_tcp = captured >= _DATA_AT and int64(frame[hdr.ETHERNET_LENGTH + hdr.IPV4_PROTOCOL]) == hdr.PROTOCOL_TCP
        if not is_tcp or read_be16(frame, hdr.ETHERTYPE_OFFSET) != hdr.ETHERTYPE_IPV4:
            counts[OTHERS] += 1
            continue
        flags = int64(frame[TRANSPORT_AT + hdr.TCP_FLAGS])
        data = read_be16(frame, hdr.ETHERNET_LENGTH + hdr.IPV4_TOTAL_LENGTH) - (_DATA_AT - hdr.ETHERNET_LENGTH)
        opened = answering and int64(frame[hdr.ETHERNET_LENGTH + hdr.IPV4_DESTINATION + 3]) & 1 == 0
        if flags == hdr.TCP_FLAG_SYN:
            counts[SYNS] += 1
            if not opened or read_be16(frame, TRANSPORT_AT + 2) != HTTP_PORT:
                continue
            counts[SYN_ACKS] += 1
        elif flags & hdr.TCP_FLAG_RST != 0:
            counts[RESETS] += 1
            continue
        elif data > 0:
            counts[REPEATS if flags & hdr.TCP_FLAG_PSH != 0 else REQUESTS] += 1
        else:
            counts[OTHERS] += 1
            continue
        lengths[made] = _answer(frame, replies[made], flags, data)
        made += 1
    return made


class FarEnd:
    """The far end of a cable: `peer` is its namespace, and `seen` what its process counted, once it has ended."""

    def __init__(self, peer: Namespace) -> None:
        self.peer = peer
        self.seen = Seen(*([0] * len(Seen._fields)))


@contextmanager
def talking_end(*, answering: bool) -> Iterator[FarEnd]:
    """Join this private network to a far end, that speaks or is silent, until the block ends."""
    quiet()
    answer_block(pack_block([(0, bytes(60))]), True, *_room(1), np.zeros(COUNTS, np.int64))  # compiled before the fork
    with spawn_namespace() as peer, IPRoute() as netlink:
        peer.run(quiet)
        netlink.link("add", ifname=LAB_MARKER, kind="veth", peer="marker")  # private addresses may be probed in labs
        peer_end = {"ifname": FAR, "net_ns_pid": peer.pid, "address": FAR_MAC}
        netlink.link("add", ifname=NEAR, kind="veth", address=NEAR_MAC, peer=peer_end)
        address_end(NEAR, NEAR_ADDRESS, FAR_ADDRESS, FAR_MAC)
        netlink.route("add", dst="0.0.0.0/0", gateway=FAR_ADDRESS)
        peer.run(_bring_up)
        end = FarEnd(peer)
        ready, say_ready = os.pipe()
        stop, say_stop = os.pipe()

        def serve() -> Seen:
            os.close(say_stop)
            return _serve(peer, say_ready, stop, answering=answering)

        child = Child("far end", serve)
        os.close(say_ready)
        os.close(stop)
        with os.fdopen(ready, "rb") as readiness:
            if readiness.read(1) != b"!":
                raise LivenessError(f"the far end failed: {child.problem()}")
        try:
            yield end
        except BaseException:
            child.kill()
            raise
        finally:
            os.close(say_stop)
        child.end_within(END_WITHIN_S)
        seen = child.result()
        if seen is None:
            raise LivenessError(f"the far end failed: {child.problem()}")
        end.seen = seen


def _bring_up() -> None:
    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname=FAR)[0], state="up")


def _room(frames: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    return np.zeros((frames, SLOT_BYTES), np.uint8), np.zeros(frames, np.uint16)


def _serve(peer: Namespace, say_ready: int, stop: int, *, answering: bool) -> Seen:
    """In the child: answer until the other end of `stop` is closed."""
    peer.enter()
    rx_ring = PacketRxRing(FAR, assemble([Instruction(RETURN, ACCEPT)]), RING_MIB)
    tx_ring = open_transport(FAR, 1, SLOT_BYTES, 1, AF_PACKET, "auto").rings[0]
    counts = np.zeros(COUNTS, np.int64)
    replies, lengths = _room(1 << 16)
    os.write(say_ready, b"!")
    while True:
        stopping = bool(select.select([stop], [], [], 0)[0])
        block = rx_ring.blocks(WAIT_S)
        if block is None:
            if stopping:
                break
            continue
        made = answer_block(block, answering, replies, lengths, counts)
        rx_ring.release()
        _send(tx_ring, replies[:made], lengths[:made])
    tx_ring.flush(FLUSH_S)
    return Seen._make([*counts.tolist(), rx_ring.statistics().drops])


def _send(ring: TxRing, frames: NDArray[np.uint8], lengths: NDArray[np.uint16]) -> None:
    """Send frames, however long the ring needs for them."""
    slot_lengths = np.zeros(len(ring.frames), np.uint16)
    sent = 0
    while sent < len(frames):
        first, free = ring.reserve(len(frames) - sent)
        ring.frames[first : first + free, :SLOT_BYTES] = frames[sent : sent + free]
        slot_lengths[first : first + free] = lengths[sent : sent + free]
        ring.commit(free, slot_lengths)
        ring.kick()
        sent += free
