"""The lab's twin of the probe that is added to a temporary copy of the package: a UDP echo server (RFC 862)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.lab.model.population.answer import DNS
from liveness.lab.model.responder.verdict import Verdict
from liveness.packets.bytes import copy_bytes

VERDICT: Final = Verdict.UDP_REQUEST
LENGTH: Final = 4
_WORDS: Final = np.frombuffer(b"echo is off", np.uint8)


def respond(request: bytes) -> bytes | None:
    """Send a request back."""
    return request


def modelled(_kind: str, answers: tuple[int, ...]) -> int:
    """Return the packed answer of hosts: they treat the probe as they treat DNS."""
    return answers[DNS]


@kernel
def is_request(_frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether frame[at:end] has the length of a probe: any four bytes are a request."""
    return end - at == LENGTH


@kernel
def answer(out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], asked: int, asked_end: int) -> int:
    """Write the request."""
    copy_bytes(frame, asked, asked_end - asked, out, at)
    return at + asked_end - asked


@kernel
def nonsense(
    out: NDArray[np.uint8], at: int, _frame: NDArray[np.uint8], _asked: int, _asked_end: int, _target: int
) -> int:
    """Write words that are not the request."""
    copy_bytes(_WORDS, 0, len(_WORDS), out, at)
    return at + len(_WORDS)
