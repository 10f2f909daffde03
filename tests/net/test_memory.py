"""The rings without a kernel: blocks as the kernel packs them, order, back pressure, a network that answers."""

import os
import select
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.net.ring import TxRing
from liveness.net.rx_packet import PacketRxRing
from liveness.net.sockets import open_packet_socket
from liveness.packets.block import (
    BLOCK_FIRST,
    BLOCK_LENGTH,
    BLOCK_PACKETS,
    PACKET_LENGTH,
    PACKET_MAC,
    PACKET_NET,
    PACKET_SNAPLEN,
    pack_block,
    unpack_block,
)
from tests.net.support import TEST_ETHERTYPE, cable, ethertype_filter, in_private_network
from tests.net.test_rings import HEADER, drain

TIMES = st.integers(0, 2**32 * 10**9 - 1)


@given(st.lists(st.tuples(TIMES, st.binary(max_size=200)), max_size=20))
def test_unpacking_is_the_inverse_of_packing(frames: list[tuple[int, bytes]]) -> None:
    assert list(unpack_block(pack_block(frames))) == frames
    assert list(unpack_block(pack_block(frames, 1 << 16))) == frames


def test_a_block_too_short_is_an_error() -> None:
    with pytest.raises(ValueError, match="2 frames need 432 bytes, the block has 431"):
        pack_block([(0, bytes(110))] * 2, 431)


@pytest.mark.lab
@in_private_network
def test_blocks_are_laid_out_as_the_kernel_does() -> None:
    frames = [HEADER + bytes([n]) * (46 + n) for n in range(5)]
    with cable() as peer:
        rx = PacketRxRing("v0", ethertype_filter(TEST_ETHERTYPE), ring_mib=4, retire_ms=200)

        def send() -> None:
            with open_packet_socket() as sender:
                sender.bind(("v1", 0))
                for frame in frames:
                    sender.send(frame)

        peer.run(send)
        block = rx.blocks(2)
        assert block is not None
        kernel = block.copy()
        rx.release()
        rx.close()
    stamped = list(unpack_block(kernel))
    ours = pack_block(stamped)
    assert [frame for _, frame in stamped] == frames

    def number(memory: np.ndarray, at: int, kind: str = "u4") -> int:
        return int(memory[at : at + int(kind[1])].view(kind)[0])

    for field in (BLOCK_PACKETS, BLOCK_FIRST):
        assert number(kernel, field) == number(ours, field)
    assert number(kernel, BLOCK_LENGTH) >= len(ours) - 8
    at = number(kernel, BLOCK_FIRST)
    for _ in frames:
        for field in (PACKET_SNAPLEN, PACKET_LENGTH):
            assert number(kernel, at + field) == number(ours, at + field)
        for field in (PACKET_MAC, PACKET_NET):
            assert number(kernel, at + field, "u2") == number(ours, at + field, "u2")
        assert number(kernel, at) == number(ours, at)
        at += number(kernel, at)


def test_frames_meet_the_network_in_order_and_replies_come_back() -> None:
    rx = MemoryRxRing(packets_a_block=3)
    tx = MemoryTxRing(lambda frame: [frame[::-1]] if frame[0] % 2 else [], rx, slots=9, frames_a_kick=2)
    sent = send_numbered(tx, 20)
    assert tx.flush(1) == 0
    assert (tx.completed, tx.errors) == (20, 0)
    expected = [frame[::-1] for frame in sent if frame[0] % 2]
    assert select.select([rx], [], [], 0)[0]
    assert rx.blocks(0) is rx.blocks(0)
    assert drain(rx, 0) == expected
    assert rx.statistics().packets == len(expected)
    assert not select.select([rx], [], [], 0)[0]
    with pytest.raises(ValueError, match="no block"):
        rx.release()
    rx.close()
    rx.close()
    tx.close()


def send_numbered(tx: TxRing, total: int) -> list[bytes]:
    lengths = np.arange(1, 10, dtype=np.uint16)
    sent: list[bytes] = []
    while len(sent) < total:
        first, count = tx.reserve(total - len(sent))
        assert first + count <= 9
        for slot in range(first, first + count):
            tx.frames[slot, :9] = len(sent) + np.arange(9)
            sent.append(tx.frames[slot, : lengths[slot]].tobytes())
        tx.commit(count, lengths)
        tx.kick()
        assert tx.completed <= len(sent)
    return sent


def test_memory_rings_refuse_what_the_kernel_would() -> None:
    rx = MemoryRxRing()
    tx = MemoryTxRing(lambda _: [], rx, slots=4, frame_bytes=64, frames_a_kick=0)
    assert tx.reserve(9) == (0, 4)
    with pytest.raises(ValueError, match="5 slots, 4 are reserved"):
        tx.commit(5, np.full(4, 60, np.uint16))
    with pytest.raises(ValueError, match="out of bounds"):
        tx.commit(4, np.full(4, 65, np.uint16))
    tx.commit(4, np.full(4, 60, np.uint16))
    assert tx.reserve(1) == (0, 0)
    assert tx.flush(0) == 4
    assert tx.unsent().tolist() == [0, 1, 2, 3]
    rx.close()


def test_the_descriptor_shows_that_frames_still_wait() -> None:
    rx = MemoryRxRing(packets_a_block=2)
    for number in range(3):
        rx.deliver(bytes([number]))
    for expected in ([b"\0", b"\1"], [b"\2"]):
        assert select.select([rx], [], [], 0)[0]
        block = rx.blocks(0)
        assert block is not None
        assert [frame for _, frame in unpack_block(block)] == expected
        rx.release()
    assert not select.select([rx], [], [], 0)[0]
    rx.close()


def test_a_late_wake_up_does_not_cut_the_wait_short() -> None:
    """A frame may be taken between its delivery and the wake-up for it, which is then about nothing."""
    rx = MemoryRxRing()
    os.eventfd_write(rx.fileno(), 1)
    begun = time.monotonic()
    assert rx.blocks(0.05) is None
    assert time.monotonic() - begun >= 0.05
    os.eventfd_write(rx.fileno(), 1)
    timer = threading.Timer(0.05, rx.deliver, [b"frame"])
    timer.start()
    assert rx.blocks(5) is not None
    timer.join()
    rx.close()


def test_another_thread_may_deliver() -> None:
    rx = MemoryRxRing(packets_a_block=7)

    def deliver() -> None:
        for number in range(50):
            rx.deliver(bytes([number]))

    threading.Timer(0.05, deliver).start()
    received: list[bytes] = []
    while len(received) < 50:
        block = rx.blocks(5)
        assert block is not None
        received += [frame for _, frame in unpack_block(block)]
        rx.release()
    assert received == [bytes([n]) for n in range(50)]
    rx.close()
