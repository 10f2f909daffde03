"""First replies: how many targets are proven to have answered an original, counted as replies come in."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.scan.answered import has_answered, mark_answered
from liveness.types import Kind

ENTRIES: Final = 1 << 20
"""Places of the table that tells duplicates: four megabytes, many times what answers between a reply and its copies."""

_ERROR: Final = int(Kind.ERROR)


@kernel
def count_first(replies: NDArray[np.void], heard: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
    """Add to `counts` (one a probe) the replies to originals, each target and probe once.

    `replies` are accepted ones, REPLY_DTYPE; `heard` is the table of those counted so far, empty if nobody asks. ICMP
    errors do not count: routers send so many a second, whatever the network can carry (RFC 1812, 4.3.2.8).
    """
    if len(heard) == 0:
        return
    for i in range(len(replies)):
        reply = replies[i]
        if int64(reply["attempt"]) != 0 or int64(reply["kind"]) == _ERROR:
            continue
        target, probe = int64(reply["target"]), int64(reply["probe"])
        if not has_answered(heard, target, probe):
            mark_answered(heard, target, probe)
            counts[probe] += 1
