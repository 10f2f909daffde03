"""Receive ring over a packet socket (TPACKET_V3): blocks of packets, filtered in the kernel, with counted drops."""

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
from liveness.packets.block import (
    BLOCK_STATUS,
    TP_STATUS_KERNEL,
    TP_STATUS_USER,
    TPACKET_V3,
    add_ethernet,
    packet_count,
)
from liveness.system.bpf import Program, attach_filter

BLOCK_BYTES = 1 << 20
FRAME_BYTES = 2048
SO_TIMESTAMPNS = 35
"""From asm-generic/socket.h."""
RETIRE_MS = 20
"""Time after which the kernel retires a block with packets even if it is not full."""


class PacketRxRing:
    """RxRing over an AF_PACKET socket on one interface.

    The filter is attached before the socket is bound, and an unbound socket with protocol 0 receives nothing.
    Therefore no unfiltered packet is ever received.
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

        With a single block, every packet between its retirement and its release is dropped. A ring that is
        `shared_with` another ring of the same interface shares its packets: each flow goes to one of the rings.
        Without `ethernet`, packets of the interface begin with their IP header, also for `program`.
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
        self._group: int | None = None  # None, because 0 is a valid group number
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
            # timestamps at arrival, not when a busy core processes the packet
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            with contextlib.suppress(OSError):  # before Linux 4.20, the filter drops our own frames
                self._socket.setsockopt(tpacket.SOL_PACKET, tpacket.PACKET_IGNORE_OUTGOING, 1)
            attach_filter(self._socket, program)
            memory = mmap.mmap(self._socket.fileno(), size)
        except OSError as error:
            raise lost_interface(self.interface, error) from error
        # all EtherTypes: a socket bound to IPv4 would not get frames in which a VLAN tag is left
        bind_packet_socket(self._socket, self.interface, tpacket.ETH_P_ALL)
        return memory

    def group(self) -> int:
        """Return the PACKET_FANOUT group (by flow hash) of this ring. The first call creates it."""
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
        """Return the next filled block, a view of the ring, or None: see RxRing. Raises InterfaceGoneError.

        While the interface is down no packets come; the kernel continues to fill the ring when it is up again.
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
        fence()  # packets must be read after the status that announces them
        block: NDArray[np.uint8] = self._blocks[self._current]
        if not self.ethernet and not self._framed:
            add_ethernet(block)
            self._framed = True
        return block

    def release(self) -> None:
        """Return the current block to the kernel."""
        if not self._status[self._current] & TP_STATUS_USER:
            raise ValueError("no block to release")
        self._framed = False
        fence()  # and before the status that returns their memory to the kernel
        self._status[self._current] = TP_STATUS_KERNEL
        self._current = (self._current + 1) % len(self._blocks)

    def forget(self) -> None:
        """Release all filled blocks, and leave their packets and all drops so far out of the counters.

        Packets in a block that the kernel still fills are neither lost nor forgotten.
        """
        released = 0
        while (block := self.blocks(0)) is not None:
            released += int(packet_count(block))
            self.release()
        total = self.statistics()
        self._statistics = RxStatistics(total.packets - total.drops - released, 0, 0)

    def statistics(self) -> RxStatistics:
        """Return the counters since opening. The kernel resets its own when they are read, so they are summed here."""
        raw = self._socket.getsockopt(tpacket.SOL_PACKET, tpacket.PACKET_STATISTICS, 12)
        packets, drops, freezes = struct.unpack("3I", raw)
        before = self._statistics
        self._statistics = RxStatistics(before.packets + packets, before.drops + drops, before.freezes + freezes)
        return self._statistics

    def _check(self) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == errno.ENETDOWN:
            self._down = True  # reported once, also before the removal of an interface
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
        """Descriptors that a process needs to use the ring."""
        return (self._socket.fileno(),)

    @property
    def mappings(self) -> tuple[mmap.mmap, ...]:
        """Memory that the ring shares with the kernel."""
        return (self._memory,)

    def close(self) -> None:
        """Close the socket and unmap the ring. Its memory stays mapped while a block is in use."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        del self._blocks, self._status
        with contextlib.suppress(BufferError):  # a view is in use: it unmaps the memory when it is deleted
            self._memory.close()
