"""Kernel that judges the data of a segment by fingerprints, and keeps its first bytes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.fingerprints.matching import protocol_of
from liveness.applications.fingerprints.table import NAMES
from liveness.applications.registry import ENTRIES
from liveness.kernel import int64, kernel
from liveness.packets import parse as p
from liveness.replies import Kind

_ANSWER: Final = int(Kind.ANSWER)
_PAYLOAD: Final = int(Kind.PAYLOAD)
_OWN: Final[NDArray[np.int64]] = np.array([NAMES.index(entry.protocol) for entry in ENTRIES], np.int64)
"""Number of the protocol of each application."""


@kernel
def judge_data(
    block: NDArray[np.uint8],
    row: NDArray[np.int64],
    numbers: np.void,
    reply: np.void,
    place: int,
    protocols: NDArray[np.uint8],
    lengths: NDArray[np.uint16],
    data: NDArray[np.uint8],
) -> int:
    """Write protocol and first bytes of a parsed segment with data at `place`; return its kind, set in `reply` too.

    An answer is always of the application's protocol, and a payload never is: what an application takes for an answer
    is none if a fingerprint finds another protocol in it, such as the greeting of FTP on the port of telnet.
    """
    at, length = row[p.PAYLOAD_AT], row[p.PAYLOAD_LENGTH]
    own, found = _OWN[int64(numbers["application"])], protocol_of(block, at, length)
    kind = int64(reply["kind"])
    if kind == _ANSWER and found not in (0, own):
        kind = _PAYLOAD
        reply["kind"] = kind
    elif kind == _ANSWER:
        found = own
    elif found == own:
        found = 0
    protocols[place] = found
    kept = min(length, data.shape[1])
    for i in range(kept):
        data[place, i] = block[at + i]
    lengths[place] = kept
    return kind
