"""Owns sending through AF_XDP: frames in memory registered with the kernel, descriptors and completions in rings."""

import contextlib
import ctypes
import errno
import mmap
import os
import select
import socket
import struct
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UnsupportedError
from liveness.net import xdp
from liveness.net.child import libc
from liveness.net.sockets import interface_index, lost_interface, raw_socket_remedy

CHUNK_BYTES = 2048
"""The smallest unit of frames' memory that the kernel takes; a frame lies inside one, and many may lie in the same."""
SLOTS = 3072
"""Frames at most; in slots of 128 bytes, which hold any usual probe, they take 384 KiB of locked memory. By default an
unprivileged user may lock 8 MiB in all."""
SLOT_BYTES = 128
RING_FRAMES = 4096  # the next power of two, which rings must be
FILL_FRAMES = 64  # unused, but no UMEM without a fill ring
SEND_BUFFER_BYTES = 1 << 24
SO_SNDBUFFORCE = 32
NAP_S = 50e-6
RELEASE_TIMEOUT_S = 0.5

AUTO, NEVER, REQUIRE = "auto", "never", "require"

DESCRIPTOR_DTYPE = np.dtype([("address", np.uint64), ("length", np.uint32), ("options", np.uint32)])


class XdpTxRing:
    """A TxRing over an AF_XDP socket on one queue of one interface.

    In copy mode, which every interface has, the kernel copies each frame into a packet of its own within the system
    call; in zero-copy mode the card reads it where it lies. Either way a slot is free when its completion is there.
    """

    def __init__(
        self, interface: str, longest_frame: int, multiple_of: int = 1, queue: int = 0, zero_copy: str = AUTO
    ) -> None:
        """Open a ring on one transmit queue for frames of up to `longest_frame` bytes, Ethernet header included.

        The number of slots is the largest multiple of `multiple_of` that fits. `zero_copy` is auto (where the driver
        has it), never or require. UnsupportedError where the kernel, the interface or the privilege for it is missing,
        or frames are longer than a chunk.
        """
        self.interface = interface
        self._index = interface_index(interface)
        slot_bytes = max(SLOT_BYTES, 1 << (longest_frame - 1).bit_length())
        if slot_bytes > CHUNK_BYTES:
            raise UnsupportedError(f"AF_XDP: frames of {longest_frame} bytes: {CHUNK_BYTES} at most")
        self._slots = SLOTS // multiple_of * multiple_of
        self._memory = mmap.mmap(-1, slot_bytes * SLOTS)
        try:
            self._socket = socket.socket(xdp.AF_XDP, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        except PermissionError as error:
            raise UnsupportedError(f"AF_XDP needs CAP_NET_RAW: {raw_socket_remedy()}") from error
        except OSError as error:
            raise UnsupportedError(f"this kernel has no AF_XDP: {error.strerror}") from error
        try:
            self._map()
            self._bind(queue, zero_copy)
        except BaseException:
            self._socket.close()
            raise
        self.frames: NDArray[np.uint8] = np.frombuffer(self._memory, np.uint8).reshape(SLOTS, slot_bytes)
        self.frames = self.frames[: self._slots]
        self._addresses = np.arange(self._slots, dtype=np.uint64) * np.uint64(slot_bytes)
        self._committed = 0  # frames since opening; frame n lies in slot n % slots, its descriptor at n % RING_FRAMES
        self._returned = 0
        self._reserved = 0
        self._dropped = 0
        self._writable = select.poll()
        self._writable.register(self._socket, select.POLLOUT)

    def _map(self) -> None:
        handle = self._socket
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        region = struct.pack("QQIIII", address, len(self._memory), CHUNK_BYTES, 0, 0, 0)
        try:
            self._register(region)
            handle.setsockopt(xdp.SOL_XDP, xdp.XDP_UMEM_FILL_RING, FILL_FRAMES)
            handle.setsockopt(xdp.SOL_XDP, xdp.XDP_UMEM_COMPLETION_RING, RING_FRAMES)
            handle.setsockopt(xdp.SOL_XDP, xdp.XDP_TX_RING, RING_FRAMES)
            with contextlib.suppress(OSError):
                handle.setsockopt(xdp.SOL_XDP, xdp.XDP_MAX_TX_SKB_BUDGET, RING_FRAMES)
            # sk_sndbuf bounds the packets on their way in copy mode; only the force is free of net.core.wmem_max
            try:
                handle.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
            except PermissionError:
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            raw = handle.getsockopt(xdp.SOL_XDP, xdp.XDP_MMAP_OFFSETS, xdp.OFFSETS_BYTES)
            offsets = struct.unpack("16Q", raw)
            transmit, completion = offsets[xdp.TX_OFFSETS], offsets[xdp.COMPLETION_OFFSETS]
            transmit_bytes = transmit[2] + RING_FRAMES * DESCRIPTOR_DTYPE.itemsize
            self._transmit = mmap.mmap(handle.fileno(), transmit_bytes, offset=xdp.TX_PAGE_OFFSET)
            completion_bytes = completion[2] + RING_FRAMES * 8
            self._completion = mmap.mmap(handle.fileno(), completion_bytes, offset=xdp.COMPLETION_PAGE_OFFSET)
        except OSError as error:
            remedy = "raise the limit of locked memory (ulimit -l)" if error.errno == errno.ENOBUFS else "see dmesg"
            raise UnsupportedError(f"AF_XDP: cannot register frames: {error.strerror}: {remedy}") from error
        self._producer = np.ndarray((1,), np.uint32, self._transmit, transmit[0])
        self._descriptors = np.ndarray((RING_FRAMES,), DESCRIPTOR_DTYPE, self._transmit, transmit[2])
        self._finished = np.ndarray((1,), np.uint32, self._completion, completion[0])
        self._taken = np.ndarray((1,), np.uint32, self._completion, completion[1])

    def _register(self, region: bytes) -> None:
        """Register the frames; where no memory can be locked that of a closed ring may be on its way back."""

        def register() -> int:
            try:
                self._socket.setsockopt(xdp.SOL_XDP, xdp.XDP_UMEM_REG, region)
            except OSError as error:
                return error.errno or 0
            return 0

        code = _insist(register, errno.ENOBUFS)
        if code:
            raise OSError(code, os.strerror(code))

    def _bind(self, queue: int, zero_copy: str) -> None:
        flags = {NEVER: xdp.XDP_COPY, REQUIRE: xdp.XDP_ZEROCOPY}.get(zero_copy, 0)
        address = struct.pack("HHIII", xdp.AF_XDP, flags, self._index, queue, 0)

        def bind() -> int:
            return ctypes.get_errno() if libc.bind(self._socket.fileno(), address, len(address)) < 0 else 0

        code = _insist(bind, errno.EBUSY)
        if code:
            mode = " in zero-copy mode" if zero_copy == REQUIRE else ""
            raise UnsupportedError(
                f"AF_XDP{mode} on {self.interface}, queue {queue}: {os.strerror(code)}:"
                " set network.transport: af_packet"
            )
        (options,) = struct.unpack("I", self._socket.getsockopt(xdp.SOL_XDP, xdp.XDP_OPTIONS, 4))
        self.zero_copy = bool(options & xdp.XDP_OPTIONS_ZEROCOPY)

    @property
    def completed(self) -> int:
        """Frames that the completion ring returned, since opening, but those that the interface dropped."""
        self._reclaim()
        return self._returned - self._dropped

    @property
    def errors(self) -> int:
        """Frames that the interface dropped or the kernel refused, since opening."""
        raw = self._socket.getsockopt(xdp.SOL_XDP, xdp.XDP_STATISTICS, struct.calcsize(xdp.STATISTICS_FORMAT))
        return self._dropped + int(struct.unpack(xdp.STATISTICS_FORMAT, raw)[xdp.TX_INVALID_DESCRIPTORS])

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        self._reclaim()
        first = self._committed % self._slots
        self._reserved = min(wanted, self._slots - (self._committed - self._returned), self._slots - first)
        return first, self._reserved

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots: see TxRing."""
        if not 0 <= count <= self._reserved:
            raise ValueError(f"commit of {count} slots, {self._reserved} are reserved")
        slot = self._committed % self._slots
        at = self._committed % RING_FRAMES
        for run in (min(count, RING_FRAMES - at), count - min(count, RING_FRAMES - at)):  # descriptors may wrap
            descriptors = self._descriptors[at : at + run]
            descriptors["address"] = self._addresses[slot : slot + run]
            descriptors["length"] = lengths[slot : slot + run]
            slot, at = slot + run, 0
        self._committed += count
        self._reserved = 0
        self._producer[0] = self._committed & 0xFFFFFFFF

    def kick(self) -> None:
        """Ask the kernel to send what was committed.

        A full queue is back pressure: what is left goes with the next kick. A frame that the interface drops outright
        (EBUSY) is lost and counted. LivenessError when the interface is down or gone.
        """
        while libc.sendto(self._socket.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0) < 0:
            code = ctypes.get_errno()
            if code == errno.EBUSY:
                self._dropped += 1
                continue
            if code in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
                return
            raise lost_interface(self.interface, OSError(code, os.strerror(code)), self._index)

    def flush(self, timeout_s: float) -> int:
        """Kick and wait until everything committed has left; return how many frames are still unsent."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.kick()
            self._reclaim()
            left_s = deadline - time.monotonic()
            if self._committed == self._returned or left_s <= 0:
                return self._committed - self._returned
            time.sleep(min(NAP_S, left_s))

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and have not left, oldest first."""
        self._reclaim()
        return np.arange(self._returned, self._committed) % self._slots

    def wait(self, timeout_s: float) -> None:
        """Kick and sleep until a committed frame has left, at most `timeout_s`; at once if none is."""
        deadline = time.monotonic() + timeout_s
        before = self._returned
        while True:
            self.kick()
            left_s = deadline - time.monotonic()
            self._reclaim()
            if self._returned > before or self._committed == self._returned or left_s <= 0:
                return
            time.sleep(min(NAP_S, left_s))

    def _reclaim(self) -> None:
        """Take what the completion ring holds; frames finish in order, so their number says which slots are free."""
        self._returned += (int(self._finished[0]) - self._returned) & 0xFFFFFFFF
        self._taken[0] = self._returned & 0xFFFFFFFF

    def close(self) -> None:
        """Close the socket; the ring's memory lives on only while somebody still holds `frames`."""
        self._socket.close()


def _insist(attempt: Callable[[], int], transient: int) -> int:
    """Try until an attempt, which returns an errno or 0, no longer says `transient`, or RELEASE_TIMEOUT_S is over.

    The kernel frees what a closed AF_XDP socket held only some time after: its queue and its locked memory.
    """
    deadline = time.monotonic() + RELEASE_TIMEOUT_S
    while True:
        code = attempt()
        if code != transient or time.monotonic() > deadline:
            return code
        time.sleep(RELEASE_TIMEOUT_S / 20)
