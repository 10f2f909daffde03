"""Owns the ring protocols: how frames are given to a network and taken from it, whatever lies below."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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
