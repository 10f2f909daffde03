"""Transmit ring for interfaces without Ethernet headers: IP packets, many per system call (sendmmsg)."""

import ctypes
import errno
import os
import select
import socket
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.net import tpacket
from liveness.net.ring import STALL_S, RingSlots, StallWatch
from liveness.net.sockets import interface_index, lost_interface, open_packet_socket
from liveness.system.child import libc

SLOTS: Final = 4096
MOST_A_CALL: Final = 1024
"""UIO_MAXIOV: the kernel takes no more messages per call."""
SEND_BUFFER_BYTES: Final = 1 << 24
NAP_S: Final = 100e-6
ETHERNET_BYTES: Final = 14
LEAST_PACKET: Final = ETHERNET_BYTES + 20

MESSAGE_DTYPE: Final = np.dtype(
    [
        ("name", np.uint64),
        ("name_length", np.uint64),
        ("vector", np.uint64),
        ("vectors", np.uint64),
        ("control", np.uint64),
        ("control_length", np.uint64),
        ("flags", np.uint64),
        ("sent", np.uint64),
    ]
)
"""struct mmsghdr of a 64-bit machine. Padding is included in the preceding fields."""
VECTOR_DTYPE: Final = np.dtype([("base", np.uint64), ("length", np.uint64)])
"""struct iovec."""


class DatagramTxRing:
    """TxRing over a SOCK_DGRAM packet socket, for tun, WireGuard, PPP and tunnels, whose frames are IP packets.

    Frames in the ring have an Ethernet header all the same, so that callers need no special case; it is not sent.
    Packets are sent as messages and not through PACKET_TX_RING: that leaves the headers of a packet in separate pages,
    where WireGuard does not look for them. The socket address names the protocol, because no header does.
    """

    def __init__(self, interface: str, longest_frame: int, multiple_of: int = 1, minimum_slots: int = SLOTS) -> None:
        """Open a ring for frames of up to `longest_frame` bytes, the Ethernet header included.

        The number of slots is at least `minimum_slots` and a multiple of `multiple_of`.
        """
        self.interface = interface
        self._index = interface_index(interface)
        slots = -(-minimum_slots // multiple_of) * multiple_of
        slot_bytes = 1 << (max(longest_frame, 64) - 1).bit_length()
        self.frames: NDArray[np.uint8] = np.zeros((slots, slot_bytes), np.uint8)
        self._vectors = np.zeros(slots, VECTOR_DTYPE)
        starts = np.arange(slots, dtype=np.uint64) * np.uint64(slot_bytes)
        self._vectors["base"] = starts + np.uint64(self.frames.ctypes.data + ETHERNET_BYTES)
        address = tpacket.socket_address(self._index, tpacket.ETH_P_IP)
        self._address = np.frombuffer(bytearray(address), np.uint8)
        self._messages = np.zeros(slots, MESSAGE_DTYPE)
        self._messages["name"] = self._address.ctypes.data
        self._messages["name_length"] = len(address)
        self._messages["vector"] = self._vectors.ctypes.data + np.arange(slots) * VECTOR_DTYPE.itemsize
        self._messages["vectors"] = 1
        self._ring = RingSlots(slots)
        self._completed = 0
        self._errors = 0
        self._stall = StallWatch()
        self._socket = open_packet_socket(socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._writable = select.poll()
        self._writable.register(self._socket, select.POLLOUT)

    @property
    def completed(self) -> int:
        """Packets that the kernel took since opening."""
        return self._completed

    @property
    def errors(self) -> int:
        """Packets that the interface refused since opening, for example to destinations of no WireGuard peer."""
        return self._errors

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        return self._ring.reserve(wanted)

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots. Raises ValueError for a length that this ring cannot send."""
        run = self._ring.commit(count, lengths, LEAST_PACKET, self.frames.shape[1])
        self._vectors["length"][run] = lengths[run] - ETHERNET_BYTES

    def kick(self) -> bool:
        """Send the committed frames, without waiting; return whether the kernel took all of them.

        ENOBUFS (queue full) and EAGAIN (send buffer full) are back pressure: the rest is sent with the next kick. A
        packet that the interface refuses for another reason is counted and skipped. Raises InterfaceDownError,
        InterfaceGoneError, and LivenessError if nothing was sent for a long time.
        """
        while self._ring.pending:
            oldest = self._ring.oldest
            run = min(self._ring.pending, self._ring.count - oldest, MOST_A_CALL)
            place = ctypes.c_void_p(self._messages.ctypes.data + oldest * MESSAGE_DTYPE.itemsize)
            sent = libc.sendmmsg(self._socket.fileno(), place, run, socket.MSG_DONTWAIT)
            if sent >= 0:
                self._ring.pending -= sent
                self._completed += sent
                continue
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.ENOBUFS):
                self._look_for_progress()
                return False
            if code in (errno.ENETDOWN, errno.ENXIO, errno.ENODEV):
                raise lost_interface(self.interface, OSError(code, os.strerror(code)), self._index)
            if code != errno.EINTR:
                self._ring.pending -= 1
                self._errors += 1
        return True

    def _look_for_progress(self) -> None:
        if self._stall.due() and self._stall.stalled(self._completed + self._errors, self._ring.pending):
            raise LivenessError(
                f"interface {self.interface}: none of {self._ring.pending} packets has left for {STALL_S:.0f} s:"
                f" look at its queues (tc -s qdisc show dev {self.interface}) and at the kernel's log"
            )

    def flush(self, timeout_s: float) -> int:
        """Kick until all committed frames were sent; return the number of unsent frames."""
        self.wait(timeout_s, until_empty=True)
        return self._ring.pending

    @property
    def waiting(self) -> int:
        """Packets that had not been sent at the last check: see TxRing."""
        return self._ring.pending

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and not sent, oldest first."""
        return self._ring.unsent()

    def wait(self, timeout_s: float, *, until_empty: bool = False) -> None:
        """Kick and sleep until one committed frame (or all) was sent, for at most `timeout_s`; at once if none is."""
        deadline = time.monotonic() + timeout_s
        before = self._ring.pending
        while True:
            self.kick()
            left_s = deadline - time.monotonic()
            if self._ring.pending == 0 or left_s <= 0 or (self._ring.pending < before and not until_empty):
                return
            if self._writable.poll(0):
                time.sleep(min(NAP_S, left_s))  # a queue that empties wakes no process
            else:
                self._writable.poll(left_s * 1000)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors that a process needs to use the ring."""
        return (self._socket.fileno(),)

    def close(self) -> None:
        """Close the socket. Frames that were not sent are lost."""
        self._socket.close()
