"""TLS: a ClientHello that servers of TLS 1.0 to 1.3 accept (RFC 8446, RFC 5246), without a server name."""

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.contract import Request
from liveness.kernel import int64, kernel

SAYS: Final = "a ClientHello for TLS 1.0 to 1.3, without a server name"
ANSWER: Final = "a handshake or alert record of version 3.x"

_SUITES: Final = (
    # TLS 1.3, then forward secrecy with AEAD, with CBC, and plain RSA for old servers.
    *(0x1301, 0x1302, 0x1303),
    *(0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0x009E, 0x009F),
    *(0xC009, 0xC013, 0xC00A, 0xC014, 0x0033, 0x0039),
    *(0x009C, 0x009D, 0x002F, 0x0035, 0x000A, 0x0005, 0x0004),
)
_GROUPS: Final = (0x001D, 0x0017, 0x0018, 0x0019, 0x0100)
_SIGNATURES: Final = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806),
    *(0x0401, 0x0501, 0x0601, 0x0203, 0x0201),
)
_VERSIONS: Final = (0x0304, 0x0303, 0x0302, 0x0301)
_LABEL: Final = b"liveness: a ClientHello that is never followed by a handshake: "
_HANDSHAKE, _ALERT, _MAJOR, _MOST_MINOR, _HEADER = 22, 21, 3, 4, 5


def _words(values: Sequence[int]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _with_length(data: bytes, size: int = 2) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _extension(number: int, data: bytes) -> bytes:
    return struct.pack(">H", number) + _with_length(data)


def request(contact: str) -> Request:
    """Return the ClientHello. Its random values are constant: no key is ever agreed on."""
    del contact
    random, session, share = (hashlib.sha256(_LABEL + name).digest() for name in (b"random", b"session", b"share"))
    extensions = b"".join(
        (
            _extension(0x000A, _with_length(_words(_GROUPS))),  # supported_groups
            _extension(0x000B, _with_length(b"\0", 1)),  # ec_point_formats: uncompressed
            _extension(0x000D, _with_length(_words(_SIGNATURES))),  # signature_algorithms
            _extension(0x002B, _with_length(_words(_VERSIONS), 1)),  # supported_versions
            _extension(0x002D, _with_length(b"\1", 1)),  # psk_key_exchange_modes: with (EC)DHE
            _extension(0x0033, _with_length(_words((_GROUPS[0],)) + _with_length(share))),  # key_share: x25519
        )
    )
    hello = b"".join(
        (
            _words((0x0303,)),
            random,
            _with_length(session, 1),
            _with_length(_words(_SUITES)),
            _with_length(b"\0", 1),  # compression: none
            _with_length(extensions),
        )
    )
    handshake = b"\1" + _with_length(hello, 3)
    return Request(b"\x16\x03\x01" + _with_length(handshake))


@kernel
def is_answer(frame: NDArray[np.uint8], at: int, length: int) -> bool:
    """Return whether the data begins with a record of the handshake (ServerHello) or an alert."""
    if length < _HEADER:
        return False
    kind, major, minor = int64(frame[at]), int64(frame[at + 1]), int64(frame[at + 2])
    return kind in (_HANDSHAKE, _ALERT) and major == _MAJOR and minor <= _MOST_MINOR
