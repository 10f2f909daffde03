"""The data of the services that are talked to, reply by reply of a block: its protocol and its first bytes."""

import numpy as np
from numpy.typing import NDArray

from liveness.replies import NO_DATA


class FirstData:
    """Arrays with a row for each reply of the present block. The follower of talks fills them, the log reads them."""

    def __init__(self) -> None:
        self.kept = False
        """Whether the run talks, so that there is anything to know."""
        self.size = 0
        """Bytes of data that are kept of each reply."""
        self._make(0)

    def keep(self, size: int) -> None:
        """Keep the protocols of replies, and the first `size` bytes of their data."""
        self.kept, self.size = True, size
        self._make(0)

    def _make(self, rows: int) -> None:
        self.protocols: NDArray[np.uint8] = np.full(rows, NO_DATA, np.uint8)
        """Number of the protocol, NO_DATA for a reply without data."""
        self.lengths: NDArray[np.uint16] = np.zeros(rows, np.uint16)
        """Bytes kept of the reply."""
        self.data: NDArray[np.uint8] = np.zeros((rows, self.size), np.uint8)
        """The bytes; what follows them in a row is of no reply."""

    def make_room(self, rows: int) -> None:
        """Make the arrays hold at least so many rows."""
        if rows > len(self.protocols):
            self._make(rows)

    def of(self, replies: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint8]] | tuple[()]:
        """Return protocols, lengths and data of the block's replies; nothing if the run does not talk."""
        return (self.protocols[:replies], self.lengths[:replies], self.data[:replies]) if self.kept else ()
