"""Kernel that matches all packets of a receive block and writes the accepted replies."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, unowned
from liveness.packets.block import (
    TP_STATUS_CSUMNOTREADY,
    capture_time_ns,
    captured_length,
    first_packet,
    frame_start,
    next_packet,
    packet_count,
    packet_status,
    wire_length,
)
from liveness.packets.parse import ACCEPTED
from liveness.probes.match import match_frame
from liveness.probes.run_constants import RunConstants
from liveness.replies import Rejection
from liveness.scan.send.answered import mark_answered

_TRUNCATED: Final = int(Rejection.TRUNCATED)


@kernel
def match_block(
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
    """Match every packet of a TPACKET_V3 block; return the number of accepted replies.

    `verify` says whether checksums are checked. `first` and `last` are the bounds of the targets' intervals. Accepted
    replies are written to `replies` (REPLY_DTYPE, at least `packet_count(block)` long); all other packets are counted
    in `rejected` (one count per Rejection). `answered` is the table shared with the senders, empty if they do not read
    it; `row` is scratch space of FIELDS int64.
    """
    block, constants, first, last = unowned(block), unowned(constants), unowned(first), unowned(last)
    replies, rejected, answered, row = unowned(replies), unowned(rejected), unowned(answered), unowned(row)
    at = first_packet(block)
    accepted = 0
    for _ in range(packet_count(block)):
        captured = captured_length(block, at)
        if captured < wire_length(block, at):  # cut by a snap length: checksums and lengths cannot be checked
            result = _TRUNCATED
        else:
            # The transport checksum of a packet sent by this host may be unfinished, because the network card was to
            # compute it. Such a packet is accepted without that check.
            finished = packet_status(block, at) & TP_STATUS_CSUMNOTREADY == 0
            result = match_frame(
                block,
                frame_start(block, at),
                captured,
                capture_time_ns(block, at),
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
        at = next_packet(block, at)
    return accepted
