"""HTTP: a request for the root of the host that the address names (RFC 9112)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.contract import Request
from liveness.applications.data import begins_with, constant
from liveness.kernel import kernel

SAYS: Final = "GET / HTTP/1.1, with the target's address as Host and the contact in User-Agent"
ANSWER: Final = "data that begins with HTTP/1."

_STATUS_LINE: Final = constant(b"HTTP/1.")


def request(contact: str) -> Request:
    """Return the request, which names the contact in its User-Agent."""
    agent = f"liveness ({contact})" if contact else "liveness"
    after = f"\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    return Request(b"GET / HTTP/1.1\r\nHost: ", after.encode(), names_target=True)


@kernel
def is_answer(frame: NDArray[np.uint8], at: int, length: int) -> bool:
    """Return whether the data begins with a status line."""
    return begins_with(frame, at, length, _STATUS_LINE)
