"""SSH: the server speaks first. Its identification line shows it (RFC 4253, section 4.2)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.contract import Request
from liveness.applications.data import begins_with, constant
from liveness.kernel import kernel

SAYS: Final = "nothing: the server speaks first"
ANSWER: Final = "a line that begins with SSH-2.0- or SSH-1."

_SSH_2: Final = constant(b"SSH-2.0-")
_SSH_1: Final = constant(b"SSH-1.")
_LINE_FEED: Final = 10


def request(contact: str) -> Request:
    """Return the empty request."""
    del contact
    return Request()


@kernel
def is_answer(frame: NDArray[np.uint8], at: int, length: int) -> bool:
    """Return whether any line of the data is the identification of SSH: a server may send other lines before it."""
    for i in range(length):
        if i == 0 or frame[at + i - 1] == _LINE_FEED:
            here, rest = at + i, length - i
            if begins_with(frame, here, rest, _SSH_2) or begins_with(frame, here, rest, _SSH_1):
                return True
    return False
