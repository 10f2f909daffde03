"""Receiving through a TPACKET_V3 ring: blocks of packets, filtered in the kernel, drops counted."""

import contextlib
import errno
import mmap
import select
import socket
import struct
import time

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UnsupportedError
from liveness.kernel import fence
from liveness.net import tpacket
from liveness.net.ring import RxStatistics
from liveness.net.sockets import (
    bind_packet_socket,
    bound_index,
    interface_index,
    lost_interface,
    open_packet_socket,
)
from liveness.packets.block import BLOCK_STATUS, TP_STATUS_KERNEL, TP_STATUS_USER, TPACKET_V3, add_ethernet
from liveness.system.bpf import Program, attach_filter

BLOCK_BYTES = 1 << 20
FRAME_BYTES = 2048
SO_TIMESTAMPNS = 35
"""asm-generic/socket.h"""
RETIRE_MS = 20
"""The kernel hands over a block with packets after this time though it is not full."""


class PacketRxRing:
    """An RxRing over an AF_PACKET socket on one interface.

    The filter is attached before the socket is bound, and an unbound socket of protocol 0 receives nothing: no packet
    ever comes in unfiltered.
    """

    def __init__(
        self,
        interface: str,
        program: Program,
        ring_mib: int = 64,
        retire_ms: int = RETIRE_MS,
        shared_with: "PacketRxRing | None" = None,
        *,
        ethernet: bool = True,
    ) -> None:
        """Open a ring of `ring_mib` blocks of 1 MiB that takes the packets `program` accepts.

        With a single block everything is dropped from the moment it is handed over until it is released. A ring
        that is `shared_with` another one of the same interface shares its packets: each flow goes to one of them.
        Without `ethernet` the interface's packets begin with their IP header, for `program` too.
        """
        self.interface = interface
        self.ethernet = ethernet
        self._framed = False
        self._current = 0
        self._statistics = RxStatistics(0, 0, 0)
        self._socket = open_packet_socket(socket.SOCK_RAW if ethernet else socket.SOCK_DGRAM)
        try:
            self._memory = self._map(program, ring_mib, retire_ms)
        except BaseException:
            self._socket.close()
            raise
        self._blocks = np.frombuffer(self._memory, dtype=np.uint8).reshape(ring_mib, BLOCK_BYTES)
        self._status = self._blocks.view(np.uint32)[:, BLOCK_STATUS // 4]
        self._group: int | None = None  # 0 is the first group's number
        if shared_with is not None:
            try:
                self._group = shared_with.group()
                self._join(self._group)
            except BaseException:
                self._socket.close()
                raise
        self._index = interface_index(interface)
        self._down = False
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN | select.POLLERR)

    def _map(self, program: Program, blocks: int, retire_ms: int) -> mmap.mmap:
        size = BLOCK_BYTES * blocks
        try:
            self._socket.setsockopt(tpacket.SOL_PACKET, tpacket.PACKET_VERSION, TPACKET_V3)
            request = struct.pack("7I", BLOCK_BYTES, blocks, FRAME_BYTES, size // FRAME_BYTES, retire_ms, 0, 0)
            self._socket.setsockopt(tpacket.SOL_PACKET, tpacket.PACKET_RX_RING, request)
            # the time of arrival, and not when a busy core got to the packet
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            with contextlib.suppress(OSError):  # before Linux 4.20 the filter turns our own frames down
                self._socket.setsockopt(tpacket.SOL_PACKET, tpacket.PACKET_IGNORE_OUTGOING, 1)
            attach_filter(self._socket, program)
            memory = mmap.mmap(self._socket.fileno(), size)
        except OSError as error:
            raise lost_interface(self.interface, error) from error
        # all EtherTypes: bound to IPv4 alone, frames with a VLAN tag left in them would not come
        bind_packet_socket(self._socket, self.interface, tpacket.ETH_P_ALL)
        return memory

    def group(self) -> int:
        """Return the PACKET_FANOUT group of this ring, by the hash of a flow; it is created by the first call."""
        if self._group is None:
            founding = (tpacket.PACKET_FANOUT_HASH | tpacket.PACKET_FANOUT_FLAG_UNIQUEID) << 16
            self._join(founding)
            number = self._socket.getsockopt(tpacket.SOL_PACKET, tpacket.PACKET_FANOUT) & 0xFFFF
            self._group = tpacket.PACKET_FANOUT_HASH << 16 | number
        return self._group

    def _join(self, group: int) -> None:
        try:
            self._socket.setsockopt(tpacket.SOL_PACKET, tpacket.PACKET_FANOUT, group)
        except OSError as error:
            raise UnsupportedError(
                f"interface {self.interface}: this kernel does not share packets among receivers:"
                f" {error.strerror}: set receive.receivers to 1"
            ) from error

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:
        """Return the next filled block, a view of the ring, or None: see RxRing. InterfaceGoneError if it was removed.

        While the interface is down nothing comes; the kernel resumes filling the ring when it is up again.
        """
        deadline = time.monotonic() + timeout_s
        while not self._status[self._current] & TP_STATUS_USER:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                self._check_existence()
                return None
            for _, events in self._readable.poll(left_s * 1000):
                if events & select.POLLERR:
                    self._check()
        self._down = False
        fence()  # packets are read after the status that says they are there
        block: NDArray[np.uint8] = self._blocks[self._current]
        if not self.ethernet and not self._framed:
            add_ethernet(block)
            self._framed = True
        return block

    def release(self) -> None:
        """Give the current block back to the kernel."""
        if not self._status[self._current] & TP_STATUS_USER:
            raise ValueError("no block to release")
        self._framed = False
        fence()  # and before the one that gives their memory back
        self._status[self._current] = TP_STATUS_KERNEL
        self._current = (self._current + 1) % len(self._blocks)

    def statistics(self) -> RxStatistics:
        """Return the counters since opening; the kernel's own are reset by reading, so they are added up here."""
        raw = self._socket.getsockopt(tpacket.SOL_PACKET, tpacket.PACKET_STATISTICS, 12)
        packets, drops, freezes = struct.unpack("3I", raw)
        before = self._statistics
        self._statistics = RxStatistics(before.packets + packets, before.drops + drops, before.freezes + freezes)
        return self._statistics

    def _check(self) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == errno.ENETDOWN:
            self._down = True  # the kernel says so once, before it removes an interface too
        elif code in (errno.ENXIO, errno.ENODEV):
            raise lost_interface(self.interface, OSError(code, ""))
        elif code:
            raise LivenessError(f"interface {self.interface}: receiving failed: {errno.errorcode.get(code, code)}")

    def _check_existence(self) -> None:
        """Raise InterfaceGoneError if an interface that went down was removed afterwards."""
        if self._down and bound_index(self._socket) != self._index:
            raise lost_interface(self.interface, OSError(errno.ENODEV, ""))

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a process needs open to use the ring."""
        return (self._socket.fileno(),)

    @property
    def mappings(self) -> tuple[mmap.mmap, ...]:
        """The memory that the ring shares with the kernel."""
        return (self._memory,)

    def close(self) -> None:
        """Close the socket and unmap the ring; its memory stays while a block of it is in use."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        del self._blocks, self._status
        with contextlib.suppress(BufferError):  # the last holder of a view unmaps it
            self._memory.close()
