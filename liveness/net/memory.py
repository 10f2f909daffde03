"""Rings in memory, without a kernel: the network is a function that returns the replies to a frame."""

import contextlib
import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from liveness.net.ring import RingSlots, RxStatistics
from liveness.packets.block import pack_block

Network = Callable[[bytes], Iterable[bytes]]
"""Simulated network: takes a frame as it was sent, and returns the frames that come back for it."""


class MemoryRxRing:
    """RxRing that returns the frames passed to `deliver`, which another thread may call."""

    ethernet = True

    def __init__(self, packets_a_block: int = 1024) -> None:
        self._packets_a_block = packets_a_block
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._current: NDArray[np.uint8] | None = None
        self._packets = 0
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def deliver(self, frame: bytes, time_ns: int | None = None) -> None:
        """Put a frame on the ring with the time `time_ns` (ns since 1970), or the current time."""
        self._waiting.append((time.time_ns() if time_ns is None else time_ns, frame))
        self._packets += 1
        os.eventfd_write(self._event, 1)

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:
        """Return a block of the waiting frames, or None after `timeout_s`: see RxRing."""
        if self._current is None:
            self._await(time.monotonic() + timeout_s)
            if not self._waiting:
                return None
            count = min(self._packets_a_block, len(self._waiting))
            self._current = pack_block([self._waiting.popleft() for _ in range(count)])
            if self._waiting:
                os.eventfd_write(self._event, 1)
        return self._current

    def _await(self, deadline: float) -> None:
        """Wait for a frame and clear the descriptor. Wake-ups for frames that were already taken are ignored."""
        while True:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._event)  # before the check of the queue: later frames wake us again
            left_s = deadline - time.monotonic()
            if self._waiting or left_s <= 0:
                return
            select.select([self._event], [], [], left_s)

    def release(self) -> None:
        """Release the current block."""
        if self._current is None:
            raise ValueError("no block to release")
        self._current = None

    def statistics(self) -> RxStatistics:
        """Return the counters since opening. Memory drops nothing."""
        return RxStatistics(self._packets, 0, 0)

    def fileno(self) -> int:
        """Return a descriptor that is readable while frames are waiting."""
        return self._event

    def close(self) -> None:
        """Close the descriptor."""
        if self._event >= 0:
            os.close(self._event)
            self._event = -1


class MemoryTxRing:
    """TxRing that passes its frames to a function when kicked, and delivers the result to `replies`."""

    def __init__(
        self,
        network: Network,
        replies: MemoryRxRing,
        slots: int,
        frame_bytes: int = 256,
        frames_a_kick: int | None = None,
    ) -> None:
        """Create a ring of `slots`; `frames_a_kick` limits the frames sent per kick, to simulate back pressure."""
        self.frames: NDArray[np.uint8] = np.zeros((slots, frame_bytes), np.uint8)
        self._network = network
        self._replies = replies
        self._frames_a_kick = frames_a_kick
        self._lengths = np.zeros(slots, np.uint16)
        self._ring = RingSlots(slots)
        self._completed = 0

    @property
    def completed(self) -> int:
        """Frames passed to the network since opening."""
        return self._completed

    @property
    def errors(self) -> int:
        """Always 0: `commit` raises ValueError for an invalid length."""
        return 0

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        return self._ring.reserve(wanted)

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots. Raises ValueError for a length that this ring cannot send."""
        run = self._ring.commit(count, lengths, 0, self.frames.shape[1])
        self._lengths[run] = lengths[run]

    def kick(self) -> bool:
        """Pass committed frames to the network, oldest first, and its replies to the receive ring."""
        count = self._ring.pending if self._frames_a_kick is None else min(self._ring.pending, self._frames_a_kick)
        for _ in range(count):
            slot = self._ring.oldest
            frame = self.frames[slot, : self._lengths[slot]].tobytes()
            self._ring.pending -= 1
            self._completed += 1
            for reply in self._network(frame):
                self._replies.deliver(reply)
        return self._ring.pending == 0

    def flush(self, timeout_s: float) -> int:
        """Kick until all committed frames were sent, for at most `timeout_s`; return the number of unsent frames."""
        deadline = time.monotonic() + timeout_s
        self.kick()
        while self._ring.pending and time.monotonic() < deadline:
            self.kick()
        return self._ring.pending

    @property
    def waiting(self) -> int:
        """Frames that had not been sent at the last check: see TxRing."""
        return self._ring.pending

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and not sent, oldest first."""
        return self._ring.unsent()

    def wait(self, timeout_s: float) -> None:  # noqa: ARG002 - a function is never busy, so there is nothing to wait for
        """Kick."""
        self.kick()

    def close(self) -> None:
        """Do nothing: there are no resources to release."""
