"""When a reader of an XDP program's rings takes blocks that are not full: the program's side is played in memory."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from liveness.net import capture_layout as layout
from liveness.net import rx_xdp
from liveness.net.ring import unread_of
from liveness.net.rx_xdp import XdpRxRing
from liveness.net.xdp_capture import prepare
from liveness.packets.block import BLOCK_HEADER_BYTES, packet_count
from tests.net.support import in_private_network

pytestmark = pytest.mark.lab

CPUS, BLOCKS = 3, 4
RETIRE_MS, TICK_S = 8, 0.0005
PACKET_BYTES = 128


class Program:
    """The side of the ring that an XDP program writes, and a clock that goes on whenever somebody looks at it."""

    def __init__(self, *trickle: int) -> None:
        """Let a packet come on each CPU of `trickle` with each look at the clock."""
        self.control = np.zeros((CPUS, layout.FIELDS_BYTES // 8), np.int64)
        self.blocks = np.zeros((CPUS, BLOCKS, layout.BLOCK_BYTES), np.uint8)
        prepare(self.control, self.blocks)
        self.trickle = trickle
        self.now_s = 1000.0
        self.written = 0

    def monotonic(self) -> float:
        """Return the time, which is later with each call."""
        self.now_s += TICK_S
        for cpu in self.trickle:
            self.write(cpu)
        return self.now_s

    def write(self, cpu: int, packets: int = 1) -> None:
        """Write packets into the present block of a CPU."""
        block = self.blocks[cpu, self.control[cpu, layout.SEQUENCE // 8] % BLOCKS]
        block.view(np.int64)[layout.HEAD // 8] += ((1 << layout.ONE_PACKET_SHIFT) + PACKET_BYTES) * packets
        self.written += packets

    def begin_block(self, cpu: int) -> None:
        """Go on to the next block of a CPU."""
        self.control[cpu, layout.SEQUENCE // 8] += 1
        block = self.blocks[cpu, self.control[cpu, layout.SEQUENCE // 8] % BLOCKS]
        block.view(np.int64)[layout.HEAD // 8] = BLOCK_HEADER_BYTES

    def ring(self, monkeypatch: pytest.MonkeyPatch) -> XdpRxRing:
        """Return a ring that reads all CPUs."""
        monkeypatch.setattr(rx_xdp, "time", self)
        link = os.open(os.devnull, os.O_RDONLY)
        capture = SimpleNamespace(interface="lo", link=link, control=self.control, blocks=self.blocks)
        try:
            return XdpRxRing(capture, range(CPUS), RETIRE_MS)  # type: ignore[arg-type]
        finally:
            os.close(link)


def taken(ring: XdpRxRing, timeout_s: float) -> int:
    """Return the number of packets in the next block, 0 if there is none, and release it."""
    block = ring.blocks(timeout_s)
    if block is None:
        return 0
    count = int(packet_count(block))
    ring.release()
    return count


@in_private_network
def test_a_trickle_gives_a_block_of_each_cpu_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(*range(CPUS))
    ring = program.ring(monkeypatch)
    taken(ring, 1.0)
    began_s, blocks, packets = program.now_s, 30, 0
    for _ in range(blocks):
        packets += taken(ring, 1.0)
    looks = (program.now_s - began_s) / (RETIRE_MS / 1000)
    assert blocks <= (looks + 2) * CPUS
    assert packets >= blocks  # none of them is empty
    ring.close()


@in_private_network
def test_a_call_that_does_not_wait_finds_all_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program()
    ring = program.ring(monkeypatch)
    program.write(0, 5)
    program.begin_block(0)
    program.write(0, 2)
    program.write(2, 3)
    assert sorted(taken(ring, 0) for _ in range(4)) == [0, 2, 3, 5]
    program.write(1)
    assert [taken(ring, 0), taken(ring, 0)] == [1, 0]
    ring.close()


@in_private_network
def test_a_full_block_comes_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program()
    ring = program.ring(monkeypatch)
    program.write(1)
    assert taken(ring, 1.0) == 1
    program.write(0, 7)
    program.write(1, 9)
    program.begin_block(1)
    before_s = program.now_s
    assert taken(ring, 1.0) == 9
    assert program.now_s - before_s < RETIRE_MS / 1000
    assert taken(ring, 1.0) == 7
    ring.close()


@in_private_network
def test_packets_are_unread_until_every_cpu_was_read_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program()
    ring = program.ring(monkeypatch)
    program.write(0, 2)
    program.write(1, 3)
    program.begin_block(1)
    program.write(1, 4)
    unread = unread_of(ring)
    program.write(0)
    found = [taken(ring, 0)]
    program.write(0)  # what comes later does not count
    while unread():
        found.append(taken(ring, 0))
        program.write(0)
    assert found == [3, 3, 2, 4]  # of CPUs 0, 1, 0 and 1
    ring.close()
