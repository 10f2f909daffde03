"""Memory of an AF_XDP socket: frames registered with the kernel, and the rings that refer to them."""

import ctypes
import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UnsupportedError
from liveness.kernel import fence, kernel, uint64
from liveness.net import xdp
from liveness.net.sockets import raw_socket_remedy
from liveness.net.system_calls import Kernel, RingSocket

CHUNK_BYTES: Final = 2048
"""Smallest unit of frame memory that the kernel accepts. A frame must lie in one chunk; a chunk may hold several."""
RING_FRAMES: Final = 4096
"""Descriptors in a ring: a power of two, as the kernel requires, and at least the number of slots."""
FILL_FRAMES: Final = 64
"""Length of the fill ring if nothing is received. Memory cannot be registered without a fill ring."""
SEND_BUFFER_BYTES: Final = 1 << 24
SO_SNDBUFFORCE: Final = 32
RELEASE_TIMEOUT_S: Final = 1.0

DESCRIPTOR_DTYPE: Final = np.dtype([("address", np.uint64), ("length", np.uint32), ("options", np.uint32)])


def open_xdp_socket(kernel: Kernel) -> RingSocket:
    """Open an AF_XDP socket. Raises UnsupportedError without the privilege or if the kernel does not support it."""
    try:
        return kernel.open(xdp.AF_XDP)
    except PermissionError as error:
        raise UnsupportedError(f"AF_XDP needs CAP_NET_RAW: {raw_socket_remedy()}") from error
    except OSError as error:
        raise UnsupportedError(f"this kernel has no AF_XDP: {error.strerror}") from error


@kernel
def hand_over(  # a kernel, because numpy takes several times as long for a batch
    addresses: NDArray[np.uint64],
    sizes: NDArray[np.uint32],
    producer: NDArray[np.uint32],
    committed: int,
    slot: int,
    count: int,
    slot_bytes: int,
    lengths: NDArray[np.uint16],
) -> None:
    """Describe the frames of `count` slots from `slot` on in the transmit ring, and make them visible to the kernel.

    `addresses` and `sizes` are the fields of the ring's descriptors, `committed` is the number of frames described
    before, `lengths` has the frame length of each slot in bytes. Descriptors wrap at the ring's end, slots do not.
    """
    for i in range(count):
        place = uint64(committed + i) & uint64(RING_FRAMES - 1)  # unsigned, so that no check for negative indices runs
        addresses[place] = (slot + i) * slot_bytes
        sizes[place] = lengths[uint64(slot + i)]
    fence()  # frames and descriptors must be visible before the index: in zero-copy mode another core reads them
    producer[0] = (committed + count) & 0xFFFFFFFF


def hand_over_nothing() -> None:
    """Compile `hand_over`, or load it from the cache, by a call without frames."""
    ring = np.zeros(1, DESCRIPTOR_DTYPE)
    hand_over(ring["address"], ring["length"], np.zeros(1, np.uint32), 0, 0, 0, 1, np.zeros(1, np.uint16))


class XdpMemory:
    """Memory that a socket shares with the kernel: frames, the transmit ring and the completion ring.

    The first `transmit_bytes` hold frames to send. After them come `receive_frames` chunks, listed in the fill ring, in
    which a card in zero-copy mode stores received frames.
    """

    def __init__(self, handle: RingSocket, transmit_bytes: int, receive_frames: int = 0) -> None:
        """Register all memory with the socket. Raises UnsupportedError if the kernel refuses."""
        self.bytes = mmap.mmap(-1, transmit_bytes + receive_frames * CHUNK_BYTES)
        try:
            self.budget = self._set_up(handle, max(FILL_FRAMES, receive_frames))
            offsets = xdp.unpack_offsets(handle.option(xdp.SOL_XDP, xdp.XDP_MMAP_OFFSETS, xdp.OFFSETS_BYTES))
            transmit, fill, completion = offsets
            size = transmit.descriptors + RING_FRAMES * DESCRIPTOR_DTYPE.itemsize
            transmit_ring = handle.map(size, xdp.TX_PAGE_OFFSET)
            completion_ring = handle.map(completion.descriptors + RING_FRAMES * 8, xdp.COMPLETION_PAGE_OFFSET)
            fill_rings: tuple[mmap.mmap, ...] = ()
            if receive_frames:
                fill_ring = handle.map(fill.descriptors + receive_frames * 8, xdp.FILL_PAGE_OFFSET)
                addresses = np.ndarray((receive_frames,), np.uint64, fill_ring, fill.descriptors)
                addresses[:] = transmit_bytes + np.arange(receive_frames, dtype=np.uint64) * np.uint64(CHUNK_BYTES)
                np.ndarray((1,), np.uint32, fill_ring, fill.producer)[0] = receive_frames
                fill_rings = (fill_ring,)
        except ValueError as error:
            raise UnsupportedError(f"AF_XDP: this kernel lays its rings out in a way of its own: {error}") from error
        except OSError as error:
            remedy = "raise the limit of locked memory (ulimit -l)" if error.errno == errno.ENOBUFS else "see dmesg"
            raise UnsupportedError(f"AF_XDP: cannot register frames: {error.strerror}: {remedy}") from error
        self.mappings: tuple[mmap.mmap, ...] = (self.bytes, transmit_ring, completion_ring, *fill_rings)
        """All mappings that are shared with the kernel."""
        self.producer = np.ndarray((1,), np.uint32, transmit_ring, transmit.producer)
        descriptors = np.ndarray((RING_FRAMES,), DESCRIPTOR_DTYPE, transmit_ring, transmit.descriptors)
        self.addresses, self.sizes = descriptors["address"], descriptors["length"]
        self.finished = np.ndarray((1,), np.uint32, completion_ring, completion.producer)
        self.taken = np.ndarray((1,), np.uint32, completion_ring, completion.consumer)

    def release(self) -> None:
        """Unmap the rings. While they are mapped, the kernel keeps the socket and its queue."""
        self.producer, self.addresses, self.sizes = self.producer.copy(), self.addresses.copy(), self.sizes.copy()
        self.finished, self.taken = self.finished.copy(), self.taken.copy()
        self.mappings = (self.bytes,)

    def _set_up(self, handle: RingSocket, fill_frames: int) -> int:
        """Register the frames and create the rings; return the number of frames that one call sends in copy mode."""
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))
        region = struct.pack("QQIIII", address, len(self.bytes), CHUNK_BYTES, 0, 0, 0)
        # if no memory can be locked, that of a closed ring may be freed soon; zero-copy is not worth the wait
        transient = errno.ENOBUFS if fill_frames == FILL_FRAMES else 0
        retry_while_transient(lambda: handle.set_option(xdp.SOL_XDP, xdp.XDP_UMEM_REG, region), transient)
        handle.set_option(xdp.SOL_XDP, xdp.XDP_UMEM_FILL_RING, fill_frames)
        handle.set_option(xdp.SOL_XDP, xdp.XDP_UMEM_COMPLETION_RING, RING_FRAMES)
        handle.set_option(xdp.SOL_XDP, xdp.XDP_TX_RING, RING_FRAMES)
        # sk_sndbuf limits the packets in flight in copy mode; only SO_SNDBUFFORCE may exceed net.core.wmem_max
        try:
            handle.set_option(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
        except PermissionError:
            handle.set_option(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        try:
            handle.set_option(xdp.SOL_XDP, xdp.XDP_MAX_TX_SKB_BUDGET, RING_FRAMES)
        except OSError:  # before Linux 6.17
            return xdp.DEFAULT_TX_BUDGET
        return RING_FRAMES


def retry_while_transient(attempt: Callable[[], None], transient: int) -> None:
    """Repeat an attempt until it no longer raises OSError with the errno `transient`, for at most RELEASE_TIMEOUT_S.

    The kernel frees the queue and the locked memory of a closed AF_XDP socket only some time after it was closed.
    """
    deadline = time.monotonic() + RELEASE_TIMEOUT_S
    while True:
        try:
            attempt()
        except OSError as error:
            if error.errno != transient or time.monotonic() > deadline:
                raise OSError(error.errno, os.strerror(error.errno or 0)) from error
        else:
            return
        time.sleep(RELEASE_TIMEOUT_S / 40)
