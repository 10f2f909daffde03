"""NTP (RFC 5905): a stratum 2 server on ntplib's packets, and its twin in the model Internet."""

import time
from typing import Final

import ntplib
import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.population.answer import NTP
from liveness.lab.model.responder.verdict import Verdict
from liveness.packets.bytes import copy_bytes

VERDICT: Final = Verdict.NTP_PACKET
LENGTH: Final = 48
ORIGINATE: Final = slice(24, 32)
TRANSMIT: Final = 40
CLIENT: Final = 3
VERSIONS: Final = (3, 4)

_HEAD: Final = np.frombuffer(bytes.fromhex("240206e8000000480000003cc0000201ee1a2b3c4d5e6f70"), np.uint8)
"""No leap warning, version 4, mode 4, stratum 2; poll, precision, delay, dispersion, reference and its timestamp."""
_RECEIVED: Final = np.frombuffer(bytes.fromhex("ee1a2b409a1b2c3d"), np.uint8)
_CONTROL: Final = np.frombuffer(bytes.fromhex("1681000100000000000000000000"), np.uint8)[:12]
"""A response of version 2, mode 6 (RFC 9327), which has no time."""


def respond(request: bytes) -> bytes | None:
    """Answer an NTP client packet (mode 3) as a stratum 2 server; None for anything else."""
    query = ntplib.NTPPacket()
    try:
        query.from_data(request)
    except ntplib.NTPException:
        return None
    if query.mode != CLIENT:
        return None
    now = time.time() + ntplib.NTP.NTP_DELTA
    reply = ntplib.NTPPacket(version=query.version, mode=4, tx_timestamp=now)
    reply.stratum = 2
    reply.poll = query.poll
    reply.precision = -20
    reply.ref_id = 0xC0000235
    reply.ref_timestamp = reply.recv_timestamp = now
    data: bytes = reply.to_data()
    # ntplib keeps timestamps as floats of 53 bits, but the originate timestamp must equal the request's 64 bits.
    return data[: ORIGINATE.start] + request[TRANSMIT:LENGTH] + data[ORIGINATE.stop :]


def modelled(_kind: str, answers: tuple[int, ...]) -> int:
    """Return the answer in the population file, which has a word for this probe."""
    return answers[NTP]


@kernel
def is_request(frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether frame[at:end] is a client packet of 48 bytes, version 3 or 4."""
    if end - at != LENGTH or int64(frame[at]) & 7 != CLIENT:
        return False
    return int64(frame[at]) >> 3 & 7 in VERSIONS


@kernel
def answer(out: NDArray[np.uint8], at: int, frame: NDArray[np.uint8], request: int, _request_end: int) -> int:
    """Write a server packet whose originate timestamp is the request's transmit timestamp."""
    copy_bytes(_HEAD, 0, len(_HEAD), out, at)
    at += len(_HEAD)
    copy_bytes(frame, request + TRANSMIT, 8, out, at)
    copy_bytes(_RECEIVED, 0, 8, out, at + 8)
    copy_bytes(_RECEIVED, 0, 8, out, at + 16)
    return at + 24


@kernel
def nonsense(
    out: NDArray[np.uint8], at: int, _frame: NDArray[np.uint8], _request: int, _request_end: int, _target: int
) -> int:
    """Write a control message."""
    copy_bytes(_CONTROL, 0, len(_CONTROL), out, at)
    return at + len(_CONTROL)
