"""Owns the trial of a transmit ring: before it is used, a frame that nobody takes up leaves by it."""

import time
from typing import Final, Protocol

import numpy as np

from liveness.errors import InterfaceDownError, InterfaceGoneError, LivenessError, UnsupportedError
from liveness.net.ring import TxRing

TRIAL_ETHERTYPE: Final = 0x88B5
"""IEEE 802's local experimental EtherType: no stack answers it."""
TRIAL_BYTES: Final = 60
"""The shortest Ethernet frame, without FCS."""
TRIAL_FRAMES: Final = 10
"""Sent by a ring at most: one, unless the interface drops it."""
TRIAL_S: Final = 2.0


class ProvableRing(TxRing, Protocol):
    """A ring whose counters can begin after its trial."""

    def count_from_here(self) -> None:
        """Leave out of `completed` and `errors` what has left until now."""
        ...


def trial_frame(mac: bytes) -> bytes:
    """Return the frame of a trial: from an interface to itself, so that no switch passes it on."""
    text = b"liveness: a trial of this transmit queue"
    return (mac + mac + TRIAL_ETHERTYPE.to_bytes(2, "big") + text).ljust(TRIAL_BYTES, b"\0")


def prove(ring: ProvableRing, name: str, frame: bytes) -> None:
    """Have `frame` leave by a new ring, called `name` in errors; UnsupportedError if it does not.

    A frame that the interface drops is sent again: its link may have bounced when the ring was opened. Raises
    InterfaceDownError and InterfaceGoneError too.
    """
    lengths = np.full(len(ring.frames), len(frame), np.uint16)
    deadline = time.monotonic() + TRIAL_S
    for _ in range(TRIAL_FRAMES):
        slot, _ = ring.reserve(1)
        ring.frames[slot, : len(frame)] = np.frombuffer(frame, np.uint8)
        ring.commit(1, lengths)
        try:
            left = ring.flush(max(0.0, deadline - time.monotonic()))
        except (InterfaceDownError, InterfaceGoneError):
            raise
        except LivenessError as error:
            raise UnsupportedError(f"{name}: {error}") from error
        if left:
            raise UnsupportedError(f"{name}: a trial frame has not left within {TRIAL_S:.0f} s")
        if ring.completed:
            ring.count_from_here()
            return
        time.sleep(TRIAL_S / TRIAL_FRAMES)
    raise UnsupportedError(f"{name}: the interface dropped {ring.errors} trial frames: has it a carrier?")
