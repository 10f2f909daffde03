"""Transmit ring over AF_XDP: descriptors are written to one ring, completions are read from another."""

import errno
import mmap
import os
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UnsupportedError
from liveness.kernel import fence
from liveness.net import xdp
from liveness.net.ring import STALL_S, StallWatch
from liveness.net.sockets import index_exists, interface_index, lost_interface
from liveness.net.system_calls import KERNEL, Kernel
from liveness.net.xdp_memory import CHUNK_BYTES, XdpMemory, hand_over, open_xdp_socket, retry_while_transient

SLOTS: Final = 3072
"""Largest number of frames. In slots of 128 bytes, which hold any usual probe, they take 384 KiB of locked memory; an
unprivileged user may lock 8 MiB by default."""
SLOT_BYTES: Final = 128
NAP_S: Final = 50e-6


class XdpTxRing:
    """TxRing over an AF_XDP socket on one queue of one interface.

    In copy mode, which every interface supports, the kernel copies each frame into a packet during the system call. In
    zero-copy mode, the network card reads the frame from the ring. In both modes a slot is free after its completion.
    """

    def __init__(
        self,
        interface: str,
        longest_frame: int,
        multiple_of: int = 1,
        queue: int = 0,
        *,
        zero_copy: bool = False,
        receive_frames: int = 0,
        program: int | None = None,
        kernel: Kernel = KERNEL,
    ) -> None:
        """Open a ring on one transmit queue for frames of up to `longest_frame` bytes, Ethernet header included.

        The number of slots is the largest multiple of `multiple_of` that fits. In zero-copy mode the card also receives
        through this socket: `receive_frames`, a power of two, is the number of frames of receive memory. `program`, a
        descriptor, keeps an XDP program attached while the ring is open. Raises UnsupportedError if the kernel or the
        interface does not support this, the privilege is missing, or frames are longer than a chunk.
        """
        self.interface = interface
        self.queue = queue
        self.zero_copy = zero_copy
        slot_bytes = max(SLOT_BYTES, 1 << longest_frame.bit_length())
        if slot_bytes > CHUNK_BYTES:
            raise UnsupportedError(f"AF_XDP: frames of {longest_frame} bytes: {CHUNK_BYTES - 1} at most")
        self._slot_bytes = slot_bytes
        self._slots = SLOTS // multiple_of * multiple_of
        self._index = interface_index(interface)
        self._socket = open_xdp_socket(kernel)
        try:
            self._memory = XdpMemory(self._socket, slot_bytes * SLOTS, receive_frames)
            self._bind()
        except BaseException:
            self._socket.close()
            raise
        self._program = None if program is None else os.dup(program)
        frames = np.frombuffer(self._memory.bytes, np.uint8, slot_bytes * SLOTS).reshape(SLOTS, slot_bytes)
        self.frames: NDArray[np.uint8] = frames[: self._slots]
        self._committed = 0  # frames since opening; frame n lies in slot n % slots
        self._returned = 0
        self._reserved = 0
        self._dropped = 0
        self._before = (0, 0)  # completed and failed before `count_from_here`
        self._stall = StallWatch()

    def _bind(self) -> None:
        flags = xdp.XDP_ZEROCOPY if self.zero_copy else xdp.XDP_COPY
        address = xdp.socket_address(self._index, self.queue, flags)
        try:
            retry_while_transient(lambda: self._socket.bind(address), errno.EBUSY)
        except OSError as error:
            mode, remedy = "", "set network.transport: af_packet"
            if self.zero_copy:
                mode, remedy = " in zero-copy mode", "set network.zero_copy: never"
            raise UnsupportedError(
                f"AF_XDP{mode} on {self.interface}, queue {self.queue}: {error.strerror}: {remedy}"
            ) from error

    @property
    def frames_a_call(self) -> int:
        """Largest number of frames that one system call sends."""
        return self._memory.budget

    @property
    def completed(self) -> int:
        """Frames that the completion ring returned since opening, without those that the interface dropped."""
        self._reclaim()
        return self._returned - self._dropped - self._before[0]

    @property
    def errors(self) -> int:
        """Frames that the interface dropped or the kernel refused since opening."""
        return self._failed() - self._before[1]

    def _failed(self) -> int:
        raw = self._socket.option(xdp.SOL_XDP, xdp.XDP_STATISTICS, xdp.STATISTICS_BYTES)
        return self._dropped + xdp.invalid_descriptors(raw)

    def count_from_here(self) -> None:
        """Restart `completed` and `errors` at 0."""
        self._reclaim()
        self._before = (self._returned - self._dropped, self._failed())

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        self._reclaim()
        first = self._committed % self._slots
        self._reserved = min(wanted, self._slots - self.waiting, self._slots - first)
        return first, self._reserved

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots: see TxRing."""
        if not 0 <= count <= self._reserved:
            raise ValueError(f"commit of {count} slots, {self._reserved} are reserved")
        memory, slot = self._memory, self._committed % self._slots
        hand_over(
            memory.addresses,
            memory.sizes,
            memory.producer,
            self._committed,
            slot,
            count,
            self._slot_bytes,
            lengths,
        )
        self._committed += count
        self._reserved = 0

    def kick(self) -> bool:
        """Make the kernel send the committed frames, with several calls if needed; return whether it took all of them.

        Where a call sends a limited number of frames (32 before Linux 6.17), it ends with EAGAIN, as it does if a queue
        is full: only another call shows which, and older kernels report their progress late. Therefore the number of
        calls is limited to what the frames can need. A frame that the interface drops (EBUSY) is lost and counted.
        Raises InterfaceDownError and InterfaceGoneError. Raises LivenessError if the kernel refuses for another reason,
        or if nothing was sent for a long time.
        """
        calls, drops = -(-self.waiting // self._memory.budget), self.waiting
        while code := self._socket.kick():
            if code == errno.EBUSY and not self.zero_copy and drops > 0:
                self._dropped += 1
                drops -= 1
            elif code in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR, errno.EBUSY):
                calls -= 1
                if calls <= 0:
                    break
            else:
                raise self._refusal(code)
        if self._stall.due():
            self._look_for_progress()
        return code == 0

    def _refusal(self, code: int) -> LivenessError:
        error = OSError(code, os.strerror(code))
        if self.zero_copy and code in (errno.ENXIO, errno.EINVAL) and index_exists(self._index):
            return LivenessError(
                f"interface {self.interface}, queue {self.queue}: its driver refuses to send in zero-copy mode:"
                f" {error.strerror}: set network.zero_copy: never"
            )
        return lost_interface(self.interface, error, self._index)

    def _look_for_progress(self) -> None:
        self._reclaim()
        if self._stall.stalled(self._returned, self.waiting):
            raise LivenessError(
                f"interface {self.interface}, queue {self.queue}: none of {self.waiting} frames has left for"
                f" {STALL_S:.0f} s: is the queue in use (ethtool -l {self.interface})? set senders to fewer,"
                " or network.transport: af_packet"
            )

    def flush(self, timeout_s: float) -> int:
        """Kick and wait until all committed frames were sent; return the number of unsent frames."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.kick()
            self._reclaim()
            left_s = deadline - time.monotonic()
            if not self.waiting or left_s <= 0:
                return self.waiting
            time.sleep(min(NAP_S, left_s))

    @property
    def waiting(self) -> int:
        """Frames that had not been sent at the last check: see TxRing."""
        return self._committed - self._returned

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and not sent, oldest first."""
        self._reclaim()
        return np.arange(self._returned, self._committed) % self._slots

    def wait(self, timeout_s: float) -> None:
        """Kick and sleep until a committed frame was sent, for at most `timeout_s`; at once if none is."""
        deadline = time.monotonic() + timeout_s
        before = self._returned
        while True:
            self.kick()
            left_s = deadline - time.monotonic()
            self._reclaim()
            if self._returned > before or not self.waiting or left_s <= 0:
                return
            time.sleep(min(NAP_S, left_s))

    def _reclaim(self) -> None:
        """Read the completion ring. Frames finish in order, so that their number determines which slots are free."""
        finished = (self._memory.finished.item() - self._returned) & 0xFFFFFFFF
        if finished:
            self._returned += finished
            fence()  # completions must be read before their places are returned
            self._memory.taken[0] = self._returned & 0xFFFFFFFF

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors that a process needs to use and to close the ring."""
        socket = self._socket.fileno()
        return (socket,) if self._program is None else (socket, self._program)

    @property
    def mappings(self) -> tuple[mmap.mmap, ...]:
        """Memory that the ring shares with the kernel."""
        return self._memory.mappings

    def close(self) -> None:
        """Close the socket. The memory of the frames stays mapped while it is in use."""
        self._socket.close()
        self._memory.release()
        if self._program is not None:
            os.close(self._program)
            self._program = None
