"""Receive ring of an XDP program: packets that are captured in the driver, before they become socket buffers."""

import ctypes
import errno
import mmap
import os
import select
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.kernel import fence
from liveness.net import capture_layout as layout
from liveness.net.capture_layout import HEAD
from liveness.net.ring import RxStatistics
from liveness.net.rx_packet import RETIRE_MS
from liveness.net.sockets import bind_packet_socket, bound_index, lost_interface, open_packet_socket
from liveness.net.xdp_capture import XdpCapture, clock_offset
from liveness.packets.block import (
    BLOCK_FIRST,
    BLOCK_HEADER_BYTES,
    BLOCK_LENGTH,
    BLOCK_PACKETS,
    BLOCK_STATUS,
    BLOCK_VERSION,
    TP_STATUS_USER,
    TPACKET_V3,
    packet_count,
)
from liveness.system.bpf import Program
from liveness.system.child import libc

LOOK_MS: Final = 4
"""Time between two looks for a full block."""
CLOCK_STEP_NS: Final = 20_000
"""A larger change of the time of day against the monotonic clock is a step, and no error of reading both."""
_CLOCK_MONOTONIC, _TFD_FLAGS = 1, os.O_NONBLOCK | os.O_CLOEXEC


class XdpRxRing:
    """RxRing of packets that an XDP program captures on one interface, on some of its CPUs.

    The program runs until the last ring of the interface is closed, in all processes.
    """

    ethernet = True

    def __init__(self, capture: "XdpCapture", cpus: Sequence[int], retire_ms: int = RETIRE_MS) -> None:
        """Make the ring for the packets of some CPUs: see `open_xdp_rings`."""
        self.interface = capture.interface
        self._capture = capture
        self._cpus = list(cpus)
        self._turn = 0
        """Place in `_cpus` of the next CPU to look at."""
        self._retire_s = retire_ms / 1000
        self._look_s = 0.0
        """When the last look at blocks that are not full began."""
        self._to_look_at: set[int] = set()
        """CPUs that this look has still to come to; the others give full blocks only until the next one."""
        self._current: Taken | None = None
        self._rings = {cpu: CpuRing(capture.control[cpu], capture.blocks[cpu]) for cpu in self._cpus}
        self._before = RxStatistics(0, 0, 0)
        with ExitStack() as opened:
            link = os.dup(capture.link)
            opened.callback(os.close, link)
            self._timer = open_timer(LOOK_MS)
            opened.callback(os.close, self._timer)
            # It receives nothing, and shows whether the interface still exists.
            self._socket = opened.enter_context(open_packet_socket())
            bind_packet_socket(self._socket, self.interface, 0)
            self._index = bound_index(self._socket)
            self.descriptors: tuple[int, ...] = (self._timer, link, self._socket.fileno())
            """Descriptors that a process needs to use the ring."""
            self._opened = opened.pop_all()
        self._readable = select.poll()
        self._readable.register(self._timer, select.POLLIN)

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:
        """Return the next block, a view of the ring, or None: see RxRing. Raises InterfaceGoneError.

        Blocks that are not full are looked at every `retire_ms`, once on each CPU, and returned with the packets that
        they have by then; a call whose time is over looks at all of them. While the interface is down no packets come;
        they come again when it is up.
        """
        deadline = time.monotonic() + timeout_s
        while self._current is None:
            now_s = time.monotonic()
            left_s = deadline - now_s
            self._follow_clock()
            if left_s <= 0 or now_s - self._look_s >= self._retire_s:
                self._look_s = now_s
                self._to_look_at = set(self._cpus)
            self._current = self._take()
            if self._current is not None:
                break
            if left_s <= 0:
                self._check_existence()
                return None
            if self._readable.poll(left_s * 1000):
                os.read(self._timer, 8)
        return self._current.block

    def _take(self) -> "Taken | None":
        """Return the packets of the next block that has any, of all CPUs in turn."""
        for _ in self._cpus:
            cpu = self._cpus[self._turn]
            taken = self._rings[cpu].take(partial=cpu in self._to_look_at)
            if taken is None or not taken.full:
                self._to_look_at.discard(cpu)
            if taken is not None:
                return taken
            self._turn = (self._turn + 1) % len(self._cpus)
        return None

    def release(self) -> None:
        """Return the memory of the current packets to the program. The next block is that of another CPU, in turn."""
        if self._current is None:
            raise ValueError("no block to release")
        self._current.ring.release(self._current)
        self._current = None
        self._turn = (self._turn + 1) % len(self._cpus)

    def unread_now(self) -> Callable[[], bool]:
        """Return a function that says whether packets are unread that are in memory now: see `unread_of`."""
        written = {cpu: ring.written() for cpu, ring in self._rings.items()}
        return lambda: any(self._rings[cpu].read() < place for cpu, place in written.items())

    def forget(self) -> None:
        """Release all packets that have come, and leave them and all drops so far out of the counters."""
        released = 0
        while (block := self.blocks(0)) is not None:
            released += int(packet_count(block))
            self.release()
        drops = sum(ring.field(layout.DROPS) for ring in self._rings.values()) + self._elsewhere()
        self._before = RxStatistics(
            released + self._before.packets + drops - self._before.drops, drops, self._freezes()
        )

    def statistics(self) -> RxStatistics:
        """Return the counters since opening."""
        elsewhere = self._elsewhere()
        packets = sum(ring.field(layout.PACKETS) for ring in self._rings.values()) + elsewhere
        drops = sum(ring.field(layout.DROPS) for ring in self._rings.values()) + elsewhere
        before = self._before
        return RxStatistics(packets - before.packets, drops - before.drops, self._freezes() - before.freezes)

    def _freezes(self) -> int:
        return sum(ring.field(layout.FREEZES) for ring in self._rings.values())

    def _elsewhere(self) -> int:
        """Return the packets on CPUs without a ring. The ring of the first CPU counts them."""
        return self._rings[0].field(layout.ELSEWHERE) if 0 in self._rings else 0

    def _follow_clock(self) -> None:
        """Tell the program by how much the time of day differs from its clock, if the time of day was set."""
        offset_ns, unsure_ns = clock_offset()
        for ring in self._rings.values():
            if abs(offset_ns - ring.field(layout.OFFSET)) > CLOCK_STEP_NS + unsure_ns:
                ring.set_field(layout.OFFSET, offset_ns)

    def _check_existence(self) -> None:
        """Raise InterfaceGoneError if the interface was removed."""
        if bound_index(self._socket) != self._index:
            raise lost_interface(self.interface, OSError(errno.ENODEV, ""))

    def fileno(self) -> int:
        """Return the descriptor of a timer, which polls readable when it is time to look for a block."""
        return self._timer

    @property
    def mappings(self) -> tuple[mmap.mmap, ...]:
        """Memory that the ring shares with the kernel, and with the other rings of the interface."""
        return (self._capture.control_memory, self._capture.block_memory)

    def close(self) -> None:
        """Close the ring; the program is detached with the last one. Its memory stays mapped while it is in use."""
        self._opened.close()


class Taken:
    """Packets of a block that a reader has: numbers `first` to `behind` - 1 of it."""

    def __init__(self, ring: "CpuRing", block: NDArray[np.uint8], behind: int, end: int, *, full: bool) -> None:
        self.ring = ring
        self.block = block
        self.behind = behind
        self.end = end
        """Where the next packet begins."""
        self.full = full
        """Whether no packet follows in this block."""


class CpuRing:
    """The reader's side of the ring of one CPU."""

    def __init__(self, control: NDArray[np.int64], blocks: NDArray[np.uint8]) -> None:
        """Read the blocks of a CPU, a row each, and its fields."""
        self._fields = control
        self._blocks = blocks
        self._sequence = 0
        """Number of the block that is read, since the ring was opened."""
        self._taken = 0
        """Packets of it that were released, and where the next one begins."""
        self._at = BLOCK_HEADER_BYTES

    def field(self, offset: int) -> int:
        """Return a field of this CPU."""
        return int(self._fields[offset // 8])

    def written(self) -> tuple[int, int]:
        """Return the number of the block that is filled, and of the packets that it has."""
        sequence = self.field(layout.SEQUENCE)
        fence()
        return sequence, self._head(self._blocks[sequence % len(self._blocks)]) >> layout.ONE_PACKET_SHIFT

    def read(self) -> tuple[int, int]:
        """Return the number of the block that is read, and of the packets of it that were released."""
        return self._sequence, self._taken

    @staticmethod
    def _head(block: NDArray[np.uint8]) -> int:
        return int(block.view(np.int64)[HEAD // 8])

    def set_field(self, offset: int, value: int) -> None:
        """Set one of the reader's layout."""
        self._fields[offset // 8] = value

    def take(self, *, partial: bool) -> Taken | None:
        """Return the next packets, of a block that may be filled further if `partial`; None if there are none."""
        while True:
            block = self._blocks[self._sequence % len(self._blocks)]
            full = self.field(layout.SEQUENCE) != self._sequence
            if not full and not partial:
                return None
            fence()  # what HEAD says of a block is final once the next one was begun
            head = self._head(block)
            fence()  # packets must be read after the number that announces them
            behind, end = head >> layout.ONE_PACKET_SHIFT, head & 0xFFFFFFFF
            if behind > self._taken:
                self._write_header(block, behind - self._taken, end)
                return Taken(self, block, behind, end, full=full)
            if not full:
                return None
            self._advance()

    def _write_header(self, block: NDArray[np.uint8], packets: int, end: int) -> None:
        """Describe the packets that are taken, in the header of their block. The program does not write there."""
        words = block.view(np.uint32)
        words[BLOCK_VERSION // 4] = TPACKET_V3
        words[BLOCK_STATUS // 4] = TP_STATUS_USER
        words[BLOCK_PACKETS // 4] = packets
        words[BLOCK_FIRST // 4] = self._at
        words[BLOCK_LENGTH // 4] = end

    def release(self, taken: Taken) -> None:
        """Go on behind packets that were taken."""
        self._taken, self._at = taken.behind, taken.end
        if taken.full:
            self._advance()

    def _advance(self) -> None:
        """Return a block that was read to the program."""
        self._sequence += 1
        self._taken, self._at = 0, BLOCK_HEADER_BYTES
        fence()  # the block was read before the program may write it again
        self.set_field(layout.RELEASED, self._sequence)


def open_xdp_rings(
    interface: str,
    program: Program,
    ring_mib: int = 64,
    receivers: int = 1,
    *,
    retire_ms: int = RETIRE_MS,
) -> list[XdpRxRing]:
    """Return rings for what the filter `program` accepts on an interface, one for each receiver.

    The memory of all CPUs together is `ring_mib` for each receiver, and a MiB for each CPU at least. Each receiver has
    the packets of every n-th CPU; a network card hands the packets of a flow to one CPU. Raises UnsupportedError if the
    kernel or the driver cannot do this, a privilege is missing, or another XDP program is attached, which is left as it
    is.
    """
    capture = XdpCapture(interface, program, ring_mib * receivers)
    rings: list[XdpRxRing] = []
    try:
        rings += (
            XdpRxRing(capture, range(receiver, capture.cpus, receivers), retire_ms) for receiver in range(receivers)
        )
    except BaseException:
        for ring in rings:
            ring.close()
        raise
    finally:
        os.close(capture.link)
    return rings


def open_timer(period_ms: int) -> int:
    """Return the descriptor of a timer that polls readable every `period_ms`."""
    descriptor = int(libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS))
    period = struct.pack("4q", 0, period_ms * 1_000_000, 0, period_ms * 1_000_000)
    if descriptor < 0 or libc.timerfd_settime(descriptor, 0, period, None) != 0:
        code = ctypes.get_errno()
        raise LivenessError(f"a timer (timerfd_create): {os.strerror(code)}")
    return descriptor
