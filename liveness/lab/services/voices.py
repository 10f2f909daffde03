"""Voices: the data that ports of the lab send, and which of it is the port's protocol.

| port | protocol | shown by |
|---|---|---|
| 22 | SSH | the identification line (RFC 4253, section 4.2) |
| 23 | telnet | option negotiation: IAC DO (RFC 854) |
| 80, 7547 | HTTP | a status line (RFC 9112, section 4) |
| 443 | TLS | a handshake record with a ServerHello (RFC 8446, sections 4.1.3 and 5.1) |
"""

from enum import IntEnum
from typing import Final

SSH: Final = b"SSH-2.0-OpenSSH_9.6\r\n"
TELNET: Final = b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27"
HTTP: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
CHALLENGE: Final = (
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="acs", nonce="6c62"\r\nContent-Length: 0\r\n\r\n'
)
"""How CPE answer a connection request without credentials (TR-069, section 3.2.2)."""
FTP: Final = b"220 FTP server ready.\r\n"
_HELLO: Final = b"\x03\x03" + bytes(range(32)) + b"\x00" + b"\xc0\x2f" + b"\x00" + b"\x00\x05" + b"\xff\x01\x00\x01\x00"
SERVER_HELLO: Final = (
    b"\x16\x03\x03" + (len(_HELLO) + 4).to_bytes(2, "big") + b"\x02" + len(_HELLO).to_bytes(3, "big") + _HELLO
)
FLOOD: Final = bytes(range(1, 5)) * 128
"""Data of no protocol: control characters."""


class Voice(IntEnum):
    """A text that a port may send."""

    RIGHT = 0
    OTHER = 1
    HEAD = 2  # the first byte of RIGHT
    REST = 3  # what follows it
    FLOOD = 4


_RIGHT: Final = {22: SSH, 23: TELNET, 80: HTTP, 443: SERVER_HELLO, 7547: CHALLENGE}
_OTHER: Final = {22: FTP, 23: SSH, 80: SSH, 443: HTTP, 7547: SERVER_HELLO}
_OF_THE_PORT: Final = {(port, Voice.RIGHT) for port in _RIGHT} | {(23, Voice.HEAD)}
"""A lone IAC is telnet's. No other protocol is known by its first byte."""


def text_of(port: int, voice: Voice) -> bytes:
    """Return what a port sends."""
    right = _RIGHT[port]
    return {Voice.RIGHT: right, Voice.OTHER: _OTHER[port], Voice.HEAD: right[:1], Voice.REST: right[1:]}.get(
        voice, FLOOD
    )


def is_answer(port: int, voice: Voice) -> bool:
    """Return whether a segment with this text, judged alone, shows the port's protocol."""
    return (port, voice) in _OF_THE_PORT
