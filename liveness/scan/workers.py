"""Workers: how many processes send and receive under `auto`, and which of them have a core of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from liveness.config.crowding import SENDER_PPS

RECEIVER_PPS: Final = 4_000_000
"""Frames sent a second whose replies are left to one receiver: a quarter of them at most, on the Internet."""
PIN_PPS: Final = 100_000
"""A sender of fewer frames a second leaves its core idle: it may share it, and need not be the one that is chosen."""

Wanted = int | Literal["auto"]


def senders_for(wanted: Wanted, total_pps: float, cores: int) -> int:
    """Return how many processes send `total_pps` frames a second, all probes together; one core is left to receive."""
    if wanted != "auto":
        return wanted
    return max(1, min(-int(-total_pps // SENDER_PPS), cores - 1))


def receivers_for(wanted: Wanted, total_pps: float, cores: int) -> int:
    """Return how many processes receive what `total_pps` probes a second bring back."""
    if wanted != "auto":
        return wanted
    return max(1, min(-int(-total_pps // RECEIVER_PPS), cores - 1))


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of each sender and of each receiver; None where the kernel's scheduler is left to choose."""

    senders: tuple[int | None, ...]
    receivers: tuple[int | None, ...]


def share_cores(senders: int, receivers: int, total_pps: float, cores: Sequence[int]) -> Cores:
    """Return who runs where on these cores: receivers from the first on, senders from the last, nobody on the same.

    Where cores do not suffice, or the rate leaves them idle, nobody is pinned.
    """
    if len(cores) < senders + receivers or total_pps / senders < PIN_PPS:
        return Cores((None,) * senders, (None,) * receivers)
    return Cores(tuple(cores[-1 - sender] for sender in range(senders)), tuple(cores[:receivers]))
