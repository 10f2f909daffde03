"""The oracle of strong evidence: reads a frame once more, plainly, and says whether the cookie it must carry is there.

It shares no code with parser and matcher. What each probe of the golden target carries is computed by the reference
cookie into a table, one row a probe and attempt.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.replies import UNKNOWN_ATTEMPT, Kind
from tests.frames import NAMES, address
from tests.golden import sent

PORT: Final = 0
OUR_PORT: Final = 1
SEQUENCE: Final = 2
ECHO: Final = 3  # identifier and sequence number, 32 bits
TRANSACTION: Final = 4
STAMP_HIGH: Final = 5
STAMP_LOW: Final = 6
IP_ID: Final = 7
UDP_SUM: Final = 8  # of the words of the datagram and its pseudo header, less source address, source port, checksum
REQUEST_ID: Final = 9  # of SNMP
COLUMNS: Final = 10

TARGET: Final = address(sent.TARGET)
_TCP_KINDS: Final = (int(Kind.SYN_ACK), int(Kind.RST))
_SYN_ACK: Final = int(Kind.SYN_ACK)
_ECHO_REPLY: Final = int(Kind.ECHO_REPLY)
_ERROR: Final = int(Kind.ERROR)
_DNS: Final = NAMES.index("dns")
_NTP: Final = NAMES.index("ntp")
_SNMP: Final = NAMES.index("snmp")


def truth() -> NDArray[np.int64]:
    """Return what probes of the golden target carry: (probes, attempts, COLUMNS)."""
    table = np.zeros((len(NAMES), sent.ATTEMPTS, COLUMNS), np.int64)
    for index, name in enumerate(NAMES):
        for attempt in range(sent.ATTEMPTS):
            probe = sent.Sent(name, attempt)
            cookie = probe.cookie
            identifier, number = cookie.echo(attempt)
            datagram = bytes(probe.transport)
            words = np.frombuffer(datagram + bytes(len(datagram) % 2), ">u2").astype(np.int64)
            rest = int(words.sum() - words[0] - words[3]) + 17 + len(datagram) + (TARGET >> 16) + (TARGET & 0xFFFF)
            stamp = int.from_bytes(cookie.timestamp, "big")
            table[index, attempt] = (
                probe.port,
                probe.source_port,
                cookie.sequence,
                identifier << 16 | number,
                cookie.transaction,
                stamp >> 32,
                stamp & 0xFFFFFFFF,
                cookie.ip_id,
                rest,
                probe.request_id,
            )
    return table


@kernel
def _number(frame: NDArray[np.uint8], at: int, width: int) -> int:
    value = 0
    for i in range(width):
        value = value * 256 + int64(frame[at + i])
    return value


@kernel
def _error_proven(frame: NDArray[np.uint8], quote: int, attempt: int, probe: int, table: NDArray[np.int64]) -> bool:
    """Return whether a quote at least 28 bytes long holds 31 bits of the probe's cookie or more."""
    if _number(frame, quote + 16, 4) != TARGET:
        return False
    known = attempt != UNKNOWN_ATTEMPT
    expected = table[probe, attempt if known else 0]
    at = quote + (int64(frame[quote]) % 16) * 4
    protocol = int64(frame[quote + 9])
    right_id = _number(frame, quote + 4, 2) == expected[IP_ID]
    if protocol == 1:
        echo = _number(frame, at + 4, 4)
        right_number = echo % 65536 == expected[ECHO] % 65536
        return bool(known and probe == 0 and right_number and (echo == expected[ECHO] or right_id))
    if _number(frame, at + 2, 2) != expected[PORT]:
        return False
    port = _number(frame, at, 2)
    if known and port != expected[OUR_PORT]:
        return False
    if protocol == 6:
        return bool(_number(frame, at + 4, 4) == expected[SEQUENCE])
    total = expected[UDP_SUM] + port + _number(frame, quote + 12, 2) + _number(frame, quote + 14, 2)
    right_sum = (total + _number(frame, at + 6, 2)) % 65535 == 0
    return int64(known) + int64(right_id) + int64(right_sum) >= 2


@kernel
def _payload_proven(frame: NDArray[np.uint8], at: int, probe: int, expected: NDArray[np.int64]) -> bool:
    if _number(frame, at + 2, 2) != expected[OUR_PORT]:
        return False
    if probe == _DNS:
        return bool(_number(frame, at + 8, 2) == expected[TRANSACTION])
    if probe == _SNMP:  # anywhere: mutations change the lengths before it
        for i in range(at + 8, at + _number(frame, at + 4, 2) - 3):
            if _number(frame, i, 4) == expected[REQUEST_ID]:
                return True
        return False
    if probe != _NTP:
        return False
    high, low = _number(frame, at + 32, 4), _number(frame, at + 36, 4)
    return bool(high == expected[STAMP_HIGH] and low == expected[STAMP_LOW])


@kernel
def is_proven(
    frame: NDArray[np.uint8], start: int, kind: int, probe: int, attempt: int, table: NDArray[np.int64]
) -> bool:
    """Return whether the frame at `start`, accepted as strong, carries the cookie of this probe and attempt."""
    ip = start + 14
    while _number(frame, ip - 2, 2) != 0x0800:
        ip += 4
    at = ip + (int64(frame[ip]) % 16) * 4
    if kind == _ERROR:
        return _error_proven(frame, at + 8, attempt, probe, table)
    expected = table[probe, attempt]
    if kind == _ECHO_REPLY:
        return bool(_number(frame, at + 4, 4) == expected[ECHO])
    if _number(frame, ip + 12, 4) != TARGET:
        return False
    if kind in _TCP_KINDS:
        ports = _number(frame, at, 2) == expected[PORT] and _number(frame, at + 2, 2) == expected[OUR_PORT]
        distance = (_number(frame, at + 8, 4) - expected[SEQUENCE]) % 2**32
        acknowledges = int64(frame[at + 13]) & 16 != 0
        return bool(ports and acknowledges and (distance == 1 or (kind != _SYN_ACK and distance == 0)))
    return _payload_proven(frame, at, probe, expected)
