"""Harvesting a block of captured packets: one kernel call that matches them all and writes the accepted replies."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, unowned
from liveness.packets import tpacket
from liveness.packets.parse import ACCEPTED
from liveness.probes.match import match_frame
from liveness.probes.run_constants import RunConstants
from liveness.scan.send.answered import mark_answered
from liveness.types import Rejection

_TRUNCATED: Final = int(Rejection.TRUNCATED)


@kernel
def _native_u32(block: NDArray[np.uint8], at: int) -> int:
    """Return the host-order number at byte `at`; the ring's headers are the kernel's structures, little-endian here."""
    return int64(block[at]) | int64(block[at + 1]) << 8 | int64(block[at + 2]) << 16 | int64(block[at + 3]) << 24


@kernel
def packets_in(block: NDArray[np.uint8]) -> int:
    """Return how many packets a TPACKET_V3 block holds."""
    return _native_u32(block, tpacket.BLOCK_PACKETS)


@kernel
def harvest(
    block: NDArray[np.uint8],
    verify: bool,
    constants: RunConstants,
    first: NDArray[np.uint32],
    last: NDArray[np.uint32],
    replies: NDArray[np.void],
    rejected: NDArray[np.int64],
    answered: NDArray[np.uint32],
    row: NDArray[np.int64],
) -> int:
    """Match every packet of a TPACKET_V3 block; return how many replies were accepted.

    `verify` says whether checksums are checked, `first` and `last` are the targets' intervals, `replies` (REPLY_DTYPE,
    at least `packets_in(block)` long) takes the accepted ones, `rejected` (one count a Rejection) the rest. `answered`
    is the table shared with the senders, empty if they do not ask; `row` is scratch space of FIELDS int64.
    """
    block, constants, first, last = unowned(block), unowned(constants), unowned(first), unowned(last)
    replies, rejected, answered, row = unowned(replies), unowned(rejected), unowned(answered), unowned(row)
    at = _native_u32(block, tpacket.BLOCK_FIRST)
    accepted = 0
    for _ in range(packets_in(block)):
        captured = _native_u32(block, at + tpacket.PACKET_SNAPLEN)
        time_ns = _native_u32(block, at + tpacket.PACKET_SEC) * 1_000_000_000 + _native_u32(
            block, at + tpacket.PACKET_NSEC
        )
        status = _native_u32(block, at + tpacket.PACKET_STATUS)
        start = at + int64(block[at + tpacket.PACKET_MAC]) + (int64(block[at + tpacket.PACKET_MAC + 1]) << 8)
        if captured < _native_u32(block, at + tpacket.PACKET_LENGTH):
            result = _TRUNCATED
        else:
            # A packet from this very machine may come without its transport checksum, which hardware would have
            # finished.
            finished = status & tpacket.TP_STATUS_CSUMNOTREADY == 0
            result = match_frame(
                block,
                start,
                captured,
                time_ns,
                verify,
                verify and finished,
                constants,
                first,
                last,
                row,
                replies[accepted],
            )
        if result == ACCEPTED:
            if len(answered) > 0:
                mark_answered(answered, int(replies[accepted]["target"]), int(replies[accepted]["probe"]))
            accepted += 1
        else:
            rejected[result] += 1
        at += _native_u32(block, at + tpacket.PACKET_NEXT)
    return accepted
