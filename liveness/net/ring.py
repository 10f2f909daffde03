"""Rings: how frames are given to a network and taken from it, whatever lies below, and what all rings share.

A ring that is mapped can be used without its descriptor: the kernel sends what lies in an AF_XDP ring when anybody
polls its socket, and a frame may be changed until it has left. A mapping also keeps the socket open. So a forked child
gets the memory and the descriptor of its own ring only: memory that is withheld (MADV_DONTFORK, madvise(2)) is not
there in a child at all.
"""

import mmap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

STALL_S: Final = 5.0
"""No interface that works holds every frame so long: at 1 kbit/s a probe leaves in half a second."""
LOOK_EVERY_S: Final = 0.1
LONGEST_GAP_S: Final = 1.0
"""A process that looks at longer intervals was suspended, and its frames with it: that time does not count."""


@dataclass(frozen=True, slots=True)
class RxStatistics:
    """What a receive ring has seen since it was opened."""

    packets: int
    """Packets that passed the filter, dropped ones included."""
    drops: int
    """Packets that passed the filter and found the ring full."""
    freezes: int
    """How often the ring filled up."""


class TxRing(Protocol):
    """A ring of frames to send. A slot keeps its bytes when it comes round, so slot i can always hold the same probe.

    Order of use: `reserve` slots, write their frames in place, `commit` them, `kick`.
    """

    frames: NDArray[np.uint8]
    """(slots, frame_bytes): row i is the writable frame of slot i; headers start at column 0."""

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted) of free slots that follow each other; count 0 = full.

        A run never wraps: at the ring's end it is shorter than wanted. Finished slots are reclaimed first. Reserving
        twice without a commit between returns the same slots.
        """
        ...

    def commit(self, count: int, lengths: NDArray[np.uint16]) -> None:
        """Hand over the first `count` reserved slots; lengths[slot] is the frame length in bytes, for every slot."""
        ...

    def kick(self) -> bool:
        """Ask the kernel to send what was committed, and return whether it took everything.

        Back pressure is no error: the rest stays for the next kick, and leaves only if there is one.

        InterfaceDownError while the interface is down: what is committed keeps its slots, and leaves with a kick when
        it is up again. InterfaceGoneError when it was removed: `unsent` tells what the ring still held. LivenessError
        if nothing has left for a long time, though it was asked again and again.
        """
        ...

    def flush(self, timeout_s: float) -> int:
        """Kick and wait until everything committed has left; return how many frames are still unsent."""
        ...

    @property
    def completed(self) -> int:
        """Frames the kernel has reported as sent, since opening."""
        ...

    @property
    def errors(self) -> int:
        """Frames the kernel refused as malformed or the interface dropped, since opening; not among the completed."""
        ...

    @property
    def waiting(self) -> int:
        """Frames that were committed and had not left when that was last looked at."""
        ...

    def unsent(self) -> NDArray[np.int64]:
        """Return the slots that were committed and have not left, oldest first: what a failed interface still holds."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Sleep until a slot may be free, at most `timeout_s`."""
        ...

    def close(self) -> None:
        """Give the ring back to the kernel; what is committed and unsent is lost. Twice is harmless."""
        ...


class RxRing(Protocol):
    """A ring of blocks of received packets, each laid out as TPACKET_V3 (`packets.block`)."""

    ethernet: bool
    """Whether packets came with an Ethernet header; without one they have one in their block all the same, of zeros."""

    def blocks(self, timeout_s: float) -> NDArray[np.uint8] | None:
        """Return the memory of the next filled block, header included, or None if there is none in `timeout_s`.

        It stays the current block, and is returned again, until it is released.
        """
        ...

    def release(self) -> None:
        """Give the current block back; its memory must not be read afterwards."""
        ...

    def statistics(self) -> RxStatistics:
        """Return the counters since opening."""
        ...

    def fileno(self) -> int:
        """Return the descriptor that polls readable when a block is filled."""
        ...

    def close(self) -> None:
        """Give the ring back. Twice is harmless."""
        ...


@dataclass(slots=True)
class RingSlots:
    """The slots of a transmit ring, which are used in turn: reserved, committed, and free again once they have left."""

    count: int
    head: int = 0
    """The next slot to reserve."""
    pending: int = 0
    """Committed slots before it that have not left."""
    _reserved: int = 0

    @property
    def oldest(self) -> int:
        """The committed slot that leaves next, if there is one."""
        return (self.head - self.pending) % self.count

    def reserve(self, wanted: int) -> tuple[int, int]:
        """Return (first slot, count <= wanted): see TxRing."""
        self._reserved = min(wanted, self.count - self.pending, self.count - self.head)
        return self.head, self._reserved

    def commit(self, count: int, lengths: NDArray[np.uint16], least: int, most: int) -> slice:
        """Commit the first `count` reserved slots and return them; ValueError for lengths that no frame can have.

        `least` and `most` are the lengths in bytes that a frame can have.
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
        """Return the slots that were committed and have not left, oldest first."""
        return np.arange(self.head - self.pending, self.head) % self.count


@dataclass(slots=True)
class StallWatch:
    """The time since a ring with committed frames last made progress, as long as the ring is looked at."""

    clock: Callable[[], float] = time.monotonic
    _left: int = -1
    _since_s: float = 0.0
    _looked_s: float = 0.0

    def due(self) -> bool:
        """Return whether it is time to look again."""
        return self.clock() - self._looked_s >= LOOK_EVERY_S

    def stalled(self, left: int, waiting: int) -> bool:
        """Return whether no frame left for STALL_S; `left` have since the ring was opened, `waiting` have not."""
        now_s = self.clock()
        if left != self._left or not waiting or now_s - self._looked_s > LONGEST_GAP_S:
            self._left = left
            self._since_s = now_s
        self._looked_s = now_s
        return now_s - self._since_s > STALL_S


def descriptors_of(ring: object) -> tuple[int, ...] | None:
    """Return the descriptors that a child needs for a ring; None for a ring in memory, whose needs are unknown."""
    found: tuple[int, ...] | None = getattr(ring, "descriptors", None)
    return found


def withhold(ring: object) -> None:
    """Withhold the memory of a ring from all children that are forked from now on."""
    for mapping in _mappings(ring):
        mapping.madvise(mmap.MADV_DONTFORK)


@contextmanager
def given(ring: object) -> Iterator[None]:
    """Give the memory of a ring that is withheld to the children that are forked inside."""
    for mapping in _mappings(ring):
        mapping.madvise(mmap.MADV_DOFORK)
    try:
        yield
    finally:
        withhold(ring)


def _mappings(ring: object) -> Sequence[mmap.mmap]:
    found: Sequence[mmap.mmap] = getattr(ring, "mappings", ())
    return found
