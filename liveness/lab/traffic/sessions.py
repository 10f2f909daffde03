"""Parts of conversations that several actors share: source ports, answered sessions, lengths of time."""

from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from liveness.lab.traffic.conversation import ACK, FIN, PSH, SYN, TCP, Answer, Conversations, conversations

SESSION: Final = SYN | ACK | PSH | FIN
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
INTERVAL_MS: Final = 600_000
"""Scans begin early in an interval of ten minutes, so that the first of them already decides who scans."""
_FIRST_UNPRIVILEGED: Final = 1024


def ports(rng: Generator, count: int) -> NDArray[np.int64]:
    """Draw source ports of clients outside."""
    return rng.integers(_FIRST_UNPRIVILEGED, 1 << 16, count)


def sessions(rng: Generator, count: int, protocol: int, **columns: object) -> Conversations:
    """Return conversations that are answered, with packets of several sizes and some seconds of duration."""
    made = conversations(count, protocol=protocol, answer=Answer.REPLY, delay_ms=rng.integers(1, 300, count), **columns)
    if protocol == TCP:
        made["packets"], made["answer_packets"] = rng.integers(4, 20, count), rng.integers(3, 30, count)
        made["flags"] = made["answer_flags"] = SESSION
        made["duration_ms"] = rng.integers(100, 30_000, count)
    else:
        made["packets"] = made["answer_packets"] = 1
    made["size"], made["answer_size"] = rng.integers(60, 600, count), rng.integers(60, 1400, count)
    return made
