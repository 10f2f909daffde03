"""Transmit ring over a packet socket (PACKET_TX_RING): memory shared with the kernel, many frames per system call."""

import contextlib
import errno
import math
import mmap
import os
import socket
import struct
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.net import tpacket
from liveness.net.ring import STALL_S, RingSlots, StallWatch
from liveness.net.sockets import interface_index, lost_interface, packet_socket_refused
from liveness.net.system_calls import KERNEL, Kernel, RingSocket

MINIMUM_SLOTS: Final = 4096
"""Fewest slots. On veth, a slot is reported free while its packet still waits in the peer's backlog (1,000 packets and
more). Since Linux 4.20 the kernel copies the frame; before, a ring shorter than the backlog overwrites such frames."""

BLOCK_BYTES: Final = 1 << 16
ETHERNET_HEADER_BYTES: Final = 14
SEND_BUFFER_BYTES: Final = 1 << 24
NAP_S: Final = 100e-6


class PacketTxRing:
    """TxRing over an AF_PACKET socket (TPACKET_V2) on one interface.

    PACKET_LOSS is off, because with it the kernel skips a malformed frame without an error. PACKET_QDISC_BYPASS is off,
    because a frame that finds the queueing discipline full keeps its slot and is sent later, so that nothing is lost.
    """

    def __init__(
        self,
        interface: str,
        longest_frame: int,
        multiple_of: int = 1,
        minimum_slots: int = MINIMUM_SLOTS,
        *,
        kernel: Kernel = KERNEL,
    ) -> None:
        """Open a ring for frames of up to `longest_frame` bytes, Ethernet header included, without FCS.

        The number of slots is at least `minimum_slots` and a multiple of `multiple_of`.
        """
        slot_bytes = 1 << max(tpacket.TX_DATA + longest_frame - 1, 127).bit_length()
        block_bytes = max(BLOCK_BYTES, slot_bytes)
        slots_per_block = block_bytes // slot_bytes
        # the kernel needs whole blocks, the caller whole rounds of its probes
        unit = math.lcm(slots_per_block, multiple_of)
        slots = -(-minimum_slots // unit) * unit
        self.interface = interface
        self._ring = RingSlots(slots)
        self._index = interface_index(interface)
        self._socket = _open_socket(kernel)
        try:
            self._memory = self._map(block_bytes, slots // slots_per_block, slot_bytes, slots)
        except BaseException:
            self._socket.close()
            raise
        ring = np.frombuffer(self._memory, dtype=np.uint8).reshape(slots, slot_bytes)
        words = ring.view(np.uint32)
        self._status = words[:, tpacket.TX_STATUS // 4]
        self._length = words[:, tpacket.TX_LENGTH // 4]
        self.frames: NDArray[np.uint8] = ring[:, tpacket.TX_DATA :]
        self._completed = 0
        self._errors = 0
        self._before = (0, 0)  # completed and refused before `count_from_here`
        self._stall = StallWatch()
        self._closed = False

    def _map(self, block_bytes: int, blocks: int, slot_bytes: int, slots: int) -> mmap.mmap:
        try:
            self._socket.set_option(tpacket.SOL_PACKET, tpacket.PACKET_VERSION, tpacket.TPACKET_V2)
            # sk_sndbuf limits the frames in a real card's queue; the kernel reduces it to net.core.wmem_max
            self._socket.set_option(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            request = struct.pack("4I", block_bytes, blocks, slot_bytes, slots)
            self._socket.set_option(tpacket.SOL_PACKET, tpacket.PACKET_TX_RING, request)
            memory = self._socket.map(block_bytes * blocks)
            self._socket.bind(tpacket.socket_address(self._index, 0))
        except OSError as error:
            raise lost_interface(self.interface, error) from error
        return memory

    @property
    def completed(self) -> int:
        """Frames that the kernel reported as sent since opening."""
        self._reclaim()
        return self._completed - self._before[0]

    @property
    def errors(self) -> int:
        """Frames that the kernel refused as malformed since opening: `kick` raises an error at the first one."""
        return self._errors - self._before[1]

    def count_from_here(self) -> None:
        """Restart `completed` and `errors` at 0."""
        self._reclaim()
        self._before = (self._completed, self._errors)

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        self._reclaim()
        return self._ring.reserve(wanted)

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots. Raises ValueError for a length that this ring cannot send."""
        run = self._ring.commit(count, lengths, ETHERNET_HEADER_BYTES, self.frames.shape[1])
        self._length[run] = lengths[run]
        self._status[run] = tpacket.TP_STATUS_SEND_REQUEST

    def kick(self) -> bool:
        """Make the kernel send the committed frames, without waiting; return whether it took all of them.

        ENOBUFS (queue full) and EAGAIN (send buffer full) are back pressure: those frames keep their slots and are sent
        with the next kick. Raises InterfaceDownError and InterfaceGoneError. Raises LivenessError if nothing was sent
        for a long time, or if the interface refuses a frame: the kernel does not skip that slot, so the ring is stuck.

        Frames to an interface without carrier are discarded but reported as completed: only the counters of the
        interface show that.
        """
        code = self._socket.kick()
        if code not in (0, errno.ENOBUFS, errno.EAGAIN, errno.EINTR):
            raise self._refusal(OSError(code, os.strerror(code)))
        if self._stall.due():
            self._look_for_progress()
        newest = self._status[self._ring.head - 1]  # frames are taken in order
        return not self._ring.pending or bool(newest != tpacket.TP_STATUS_SEND_REQUEST)

    def _refusal(self, error: OSError) -> LivenessError:
        self._reclaim()
        oldest = self._ring.oldest
        if self._ring.pending and self._status[oldest] & tpacket.TP_STATUS_WRONG_FORMAT:
            self._errors += 1
            problem = f"interface {self.interface} refuses a frame of {self._length[oldest]} bytes"
            return LivenessError(f"{problem}: {error.strerror}: is its MTU too small for the probes?")
        return lost_interface(self.interface, error, self._index)

    def _look_for_progress(self) -> None:
        self._reclaim()
        if self._stall.stalled(self._completed, self._ring.pending):
            raise LivenessError(
                f"interface {self.interface}: none of {self._ring.pending} frames has left for {STALL_S:.0f} s:"
                f" look at its queues (tc -s qdisc show dev {self.interface}) and at the kernel's log"
            )

    def flush(self, timeout_s: float) -> int:
        """Kick and wait until all committed frames were sent; return the number of unsent frames."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.kick()
            self._reclaim()
            left_s = deadline - time.monotonic()
            if self._ring.pending == 0 or left_s <= 0:
                return self._ring.pending
            self._rest(left_s)

    @property
    def waiting(self) -> int:
        """Frames that had not been sent at the last check: see TxRing."""
        return self._ring.pending

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and not sent, oldest first."""
        self._reclaim()
        return self._ring.unsent()

    def wait(self, timeout_s: float) -> None:
        """Kick and sleep until the oldest committed frame was sent, for at most `timeout_s`; at once if none is."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.kick()
            oldest = self._ring.oldest
            left_s = deadline - time.monotonic()
            if self._ring.pending == 0 or self._status[oldest] == tpacket.TP_STATUS_AVAILABLE or left_s <= 0:
                return
            self._rest(left_s)

    def _rest(self, left_s: float) -> None:
        """Sleep until the send buffer has room. If it has, sleep briefly: a queue that empties wakes no process."""
        if self._socket.writable(0):
            time.sleep(min(NAP_S, left_s))
        else:
            self._socket.writable(left_s)

    def _reclaim(self) -> None:
        """Count the slots that the kernel has finished, oldest first, up to the first unfinished one."""
        while self._ring.pending:
            oldest = self._ring.oldest
            busy = (
                self._status[oldest : min(oldest + self._ring.pending, self._ring.count)] != tpacket.TP_STATUS_AVAILABLE
            )
            first_busy = int(busy.argmax())
            done = first_busy if busy[first_busy] else len(busy)
            self._ring.pending -= done
            self._completed += done
            if done < len(busy):
                return

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors that a process needs to use the ring."""
        return (self._socket.fileno(),)

    @property
    def mappings(self) -> tuple[mmap.mmap, ...]:
        """Memory that the ring shares with the kernel."""
        return (self._memory,)

    def close(self) -> None:
        """Close the socket and unmap the ring. Its memory stays mapped while `frames` is in use."""
        if self._closed:
            return
        self._closed = True
        self._socket.close()
        del self._status, self._length, self.frames
        with contextlib.suppress(BufferError):  # a view is in use: it unmaps the memory when it is deleted
            self._memory.close()


def _open_socket(kernel: Kernel) -> RingSocket:
    try:
        return kernel.open(socket.AF_PACKET)
    except OSError as error:
        raise packet_socket_refused(error) from error
