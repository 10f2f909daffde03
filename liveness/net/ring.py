"""Rings: the interface through which frames are sent and received, whatever the transport, and their common parts.

A mapped ring can be used without its descriptor: the kernel sends the frames of an AF_XDP ring when any process polls
its socket, and a frame can be changed until it was sent. A mapping also keeps the socket open. A forked child therefore
gets only the memory and the descriptor of its own ring (`inheritance`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

STALL_S: Final = 5.0
"""Time after which an interface that sent nothing is stalled: even at 1 kbit/s a probe takes half a second."""
LOOK_EVERY_S: Final = 0.1
LONGEST_GAP_S: Final = 1.0
"""A longer time between two checks means that the process was suspended: that time does not count."""


@dataclass(frozen=True, slots=True)
class RxStatistics:
    """Counters of a receive ring since it was opened."""

    packets: int
    """Packets that passed the filter, including dropped ones."""
    drops: int
    """Packets that passed the filter and were dropped because the ring was full."""
    freezes: int
    """Number of times that the ring was full."""


class TxRing(Protocol):
    """Ring of frames to send. A slot keeps its bytes when it is reused, so that slot i can always hold the same probe.

    Order of use: `reserve` slots, write their frames in place, `commit` them, `kick`.
    """

    frames: NDArray[np.uint8]
    """(slots, frame_bytes): row i is the writable frame of slot i; headers start at column 0."""

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted) of consecutive free slots; count 0 if the ring is full.

        A run never wraps: at the ring's end it is shorter than wanted. Finished slots are reclaimed first. Reserving
        twice without a commit in between returns the same slots.
        """
        ...

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots; lengths[slot] is the frame length in bytes, for every slot."""
        ...

    def kick(self) -> bool:
        """Make the kernel send the committed frames, and return whether it took all of them.

        Back pressure is no error: the rest stays in the ring until the next kick.

        Raises InterfaceDownError while the interface is down: committed frames keep their slots, and a kick sends them
        when it is up again. Raises InterfaceGoneError if the interface was removed: `unsent` returns the slots that the
        ring still holds. Raises LivenessError if no frame was sent for a long time in spite of repeated kicks.
        """
        ...

    def flush(self, timeout_s: float) -> int:
        """Kick and wait until all committed frames were sent; return the number of unsent frames."""
        ...

    @property
    def completed(self) -> int:
        """Frames that the kernel reported as sent since opening."""
        ...

    @property
    def errors(self) -> int:
        """Frames that the kernel refused as malformed or the interface dropped since opening; not in `completed`."""
        ...

    @property
    def waiting(self) -> int:
        """Frames that were committed and not sent at the last check."""
        ...

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and not sent, oldest first, also of a failed interface."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Sleep until a slot may be free, at most `timeout_s`."""
        ...

    def close(self) -> None:
        """Release the ring. Committed frames that were not sent are lost. It may be called twice."""
        ...


class RxRing(Protocol):
    """Ring of blocks of received packets, each in the layout of TPACKET_V3 (`packets.block`)."""

    ethernet: bool
    """Whether packets came with an Ethernet header. If not, their block has a header of zeros in its place."""

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:
        """Return the memory of the next filled block, header included, or None if there is none within `timeout_s`.

        The same block is returned again until it is released.
        """
        ...

    def release(self) -> None:
        """Return the current block to the kernel. Its memory must not be read afterwards."""
        ...

    def statistics(self) -> RxStatistics:
        """Return the counters since opening."""
        ...

    def fileno(self) -> int:
        """Return the descriptor that polls readable when a block is filled."""
        ...

    def close(self) -> None:
        """Release the ring. It may be called twice."""
        ...


@dataclass(slots=True)
class RingSlots:
    """Slots of a transmit ring, which are used in turn: reserved, committed, and free again when they were sent."""

    count: int
    head: int = 0
    """Next slot to reserve."""
    pending: int = 0
    """Number of committed slots before `head` that were not sent."""
    _reserved: int = 0

    @property
    def oldest(self) -> int:
        """Committed slot that is sent next, if there is one."""
        return (self.head - self.pending) % self.count

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        self._reserved = min(wanted, self.count - self.pending, self.count - self.head)
        return self.head, self._reserved

    def commit(self, count: int, lengths: NDArray[np.uint16], least: int, most: int) -> slice:
        """Commit the first `count` reserved slots and return them. Raises ValueError for invalid lengths.

        `least` and `most` are the valid lengths of a frame in bytes.
        """
        if not 0 <= count <= self._reserved:
            raise ValueError(f"commit of {count} slots, {self._reserved} are reserved")
        run = slice(self.head, self.head + count)
        if count and (lengths[run].min() < least or lengths[run].max() > most):
            raise ValueError(f"frame lengths of slots {run.start} to {run.stop - 1} are out of bounds")
        self.head = run.stop % self.count
        self.pending += count
        self._reserved = 0
        return run

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and not sent, oldest first."""
        return np.arange(self.head - self.pending, self.head) % self.count


@dataclass(slots=True)
class StallWatch:
    """Detector of a ring that sends nothing: the time since its last progress, while it is checked regularly."""

    clock: Callable[[], float] = time.monotonic
    _left: int = -1
    _since_s: float = 0.0
    _looked_s: float = 0.0

    def due(self) -> bool:
        """Return whether the next check is due."""
        return self.clock() - self._looked_s >= LOOK_EVERY_S

    def stalled(self, left: int, waiting: int) -> bool:
        """Return whether no frame was sent for STALL_S; `left` were sent since opening, `waiting` were not."""
        now_s = self.clock()
        if left != self._left or not waiting or now_s - self._looked_s > LONGEST_GAP_S:
            self._left = left
            self._since_s = now_s
        self._looked_s = now_s
        return now_s - self._since_s > STALL_S


def pace(ring: TxRing, frames_per_s: float, usual_bytes: int) -> float:
    """Set the rate of a ring that sends by itself, most of whose frames are `usual_bytes` long; return its lead in s.

    Such a ring sends each frame at its time (`spread`), and takes it that much earlier. The others send what is
    committed during the next kick: their lead is 0.
    """
    set_rate: Callable[[float, int], float] | None = getattr(ring, "pace", None)
    return 0.0 if set_rate is None else set_rate(frames_per_s, usual_bytes)


def spread(ring: TxRing, first_s: float, end_s: float) -> None:
    """Set when the frames of the next commit leave (time.monotonic), if the ring sends by itself."""
    set_times: Callable[[float, float], None] | None = getattr(ring, "spread", None)
    if set_times is not None:
        set_times(first_s, end_s)


def descriptors_of(ring: object) -> tuple[int, ...] | None:
    """Return the descriptors that a child needs for a ring; None for a ring in memory, whose needs are unknown."""
    found: tuple[int, ...] | None = getattr(ring, "descriptors", None)
    return found


def unread_of(ring: object) -> Callable[[], bool]:
    """Return a function that says whether a ring still has packets that are in it now.

    It says no for a ring whose blocks come in order of time: their times already show what came earlier.
    """
    mark: Callable[[], Callable[[], bool]] | None = getattr(ring, "unread_now", None)
    return (lambda: False) if mark is None else mark()
