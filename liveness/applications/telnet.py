"""Telnet: the server speaks first, with options to negotiate or with text (RFC 854)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.contract import Request
from liveness.applications.data import begins_with, constant, is_text
from liveness.kernel import int64, kernel

SAYS: Final = "nothing: the server speaks first"
ANSWER: Final = "a command of option negotiation (IAC), or text of no other protocol"

_IAC, _SUBNEGOTIATION, _WILL, _DONT = 255, 250, 251, 254
_SSH: Final = constant(b"SSH-")
_HTTP: Final = constant(b"HTTP/")


def request(contact: str) -> Request:
    """Return the empty request."""
    del contact
    return Request()


@kernel
def is_answer(frame: NDArray[np.uint8], at: int, length: int) -> bool:
    """Return whether the data begins with IAC and WILL, WONT, DO, DONT or SB, or is text that is no SSH or HTTP.

    The fingerprints of other protocols, such as that of FTP, come later.
    """
    if int64(frame[at]) == _IAC:
        if length == 1:  # the rest of the command is in the next segment
            return True
        command = int64(frame[at + 1])
        return _WILL <= command <= _DONT or command == _SUBNEGOTIATION
    if begins_with(frame, at, length, _SSH) or begins_with(frame, at, length, _HTTP):
        return False
    return is_text(frame, at, length)
