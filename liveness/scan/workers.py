"""Workers: the numbers of sender and receiver processes under `auto`, and the cores that they are pinned to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from liveness.config.packets_per_24 import SENDER_PPS

RECEIVER_PPS: Final = 4_000_000
"""Frames sent per second for each receiver. On the Internet at most a quarter of them is answered."""
PIN_PPS: Final = 100_000
"""Frames per second of a sender from which processes are pinned. A slower one leaves its core idle most of the time."""

Wanted = int | Literal["auto"]


def senders_for(wanted: Wanted, total_pps: float, cores: int) -> int:
    """Return the number of senders for `total_pps` frames per second, all probes together.

    `auto` leaves one core to the receivers.
    """
    if wanted != "auto":
        return wanted
    return max(1, min(-int(-total_pps // SENDER_PPS), cores - 1))


def receivers_for(wanted: Wanted, total_pps: float, cores: int) -> int:
    """Return the number of receivers for the replies to `total_pps` probes per second."""
    if wanted != "auto":
        return wanted
    return max(1, min(-int(-total_pps // RECEIVER_PPS), cores - 1))


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of each sender and each receiver; None where the kernel's scheduler chooses."""

    senders: tuple[int | None, ...]
    receivers: tuple[int | None, ...]


def share_cores(senders: int, receivers: int, total_pps: float, cores: Sequence[int]) -> Cores:
    """Return the core of each process: receivers get the first cores, senders the last ones, each a different one.

    If there are too few cores, or the rate is below PIN_PPS per sender, no process is pinned.
    """
    if len(cores) < senders + receivers or total_pps / senders < PIN_PPS:
        return Cores((None,) * senders, (None,) * receivers)
    return Cores(tuple(cores[-1 - sender] for sender in range(senders)), tuple(cores[:receivers]))
