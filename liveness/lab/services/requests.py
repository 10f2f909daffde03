"""Kernels that judge the data of a scanner's talk: whether a client of the port's protocol sends it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets.bytes import read_be16

_GET: Final = np.frombuffer(b"GET / HTTP/1.1\r\nHost: ", np.uint8)
_END: Final = np.frombuffer(b"\r\n\r\n", np.uint8)
_DOT, _ZERO, _NINE, _RETURN = 46, 48, 57, 13
_OCTETS: Final = 4

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_RECORD_HEADER, _HANDSHAKE_HEADER = 5, 4
_TLS_1_2: Final = 0x0303
_RANDOM: Final = 32


@kernel
def _matches(frame: NDArray[np.uint8], at: int, end: int, text: NDArray[np.uint8]) -> bool:
    """Return whether frame[at:end] begins with `text`."""
    if end - at < len(text):
        return False
    for place in range(len(text)):  # noqa: SIM110 - a plain loop compiles
        if frame[at + place] != text[place]:
            return False
    return True


@kernel
def _host_end(frame: NDArray[np.uint8], at: int, end: int, target: int) -> int:
    """Return the index after the address at frame[at], in dotted form without leading zeros; -1 if not `target`'s."""
    for place in range(_OCTETS):
        octet, digits = 0, 0
        while at < end and _ZERO <= int64(frame[at]) <= _NINE and digits < 3:  # noqa: PLR2004 - digits of an octet
            if digits > 0 and octet == 0:
                return -1
            octet = octet * 10 + int64(frame[at]) - _ZERO
            digits += 1
            at += 1
        if digits == 0 or octet != target >> (24 - 8 * place) & 255:
            return -1
        if place < _OCTETS - 1:
            if at >= end or int64(frame[at]) != _DOT:
                return -1
            at += 1
    return at


@kernel
def _is_get(frame: NDArray[np.uint8], at: int, end: int, target: int) -> bool:
    """Return whether frame[at:end] is a GET for the root of the host `target`, with nothing behind its header."""
    if not _matches(frame, at, end, _GET) or not _matches(frame, end - len(_END), end, _END):
        return False
    behind = _host_end(frame, at + len(_GET), end, target)
    if behind < 0 or int64(frame[behind]) != _RETURN:
        return False
    for place in range(behind, end - len(_END)):  # no empty line before the end  # noqa: SIM110 - as above
        if _matches(frame, place, end, _END):
            return False
    return True


@kernel
def _is_client_hello(frame: NDArray[np.uint8], at: int, end: int) -> bool:
    """Return whether frame[at:end] is one record with one ClientHello, whose lengths are right (RFC 8446, 4.1.2)."""
    hello = at + _RECORD_HEADER + _HANDSHAKE_HEADER
    if end - hello < 2 + _RANDOM:
        return False
    record = int64(frame[at]) == _HANDSHAKE and int64(frame[at + 1]) == 3  # noqa: PLR2004 - version 3.x
    handshake = at + _RECORD_HEADER
    length = int64(frame[handshake + 1]) << 16 | read_be16(frame, handshake + 2)
    return (
        record
        and read_be16(frame, at + 3) == end - handshake
        and int64(frame[handshake]) == _CLIENT_HELLO
        and length == end - hello
        and read_be16(frame, hello) == _TLS_1_2
    )


@kernel
def is_request(port: int, frame: NDArray[np.uint8], at: int, end: int, target: int) -> bool:
    """Return whether frame[at:end] is what a client sends to `target` first; on ports 22 and 23 that is nothing."""
    if port in (22, 23):
        return at == end
    if port in (80, 7547):
        return _is_get(frame, at, end, target)
    return port == 443 and _is_client_hello(frame, at, end)  # noqa: PLR2004 - the port of TLS
