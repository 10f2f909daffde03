"""The SSDP probe (UPnP Device Architecture 1.1, section 1.3): a search for root devices, and what a valid answer is.

The search goes to the target alone. `MX: 1` is what devices demand that take every search for a multicast one, and a
root device answers `upnp:rootdevice` once, while `ssdp:all` would bring an answer for each of its services. HOST names
the multicast group, as the searches of other scanners do: devices do not compare it.

An answer returns nothing of what varies in the search. What proves it is the port of ours that it comes to, which is
weak evidence, and that it is a search response with ST and USN. The architecture names no source port for answers, and
many devices answer from another one than 1900: a valid answer counts from any port.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scapy.layers.inet import UDP
from scapy.packet import Raw

from liveness.kernel import int64, kernel
from liveness.packets import cookie
from liveness.packets import headers as hdr
from liveness.packets import parse as p
from liveness.packets.bytes import set_be16, set_be32
from liveness.packets.checksum import u32_sum, udp_checksum
from liveness.probes.probe import Description
from liveness.probes.template import TRANSPORT_AT, FrameOptions, LinkAddresses, build_frame
from liveness.replies import Kind

PORT: Final = 1900
_HEAD: Final = (
    b"M-SEARCH * HTTP/1.1\r\n"
    b"HOST: 239.255.255.250:1900\r\n"
    b'MAN: "ssdp:discover"\r\n'
    b"MX: 1\r\n"
    b"ST: upnp:rootdevice\r\n"
    b"USER-AGENT: unix/5 UPnP/1.1 liveness/"
)
_TAIL: Final = b"\r\n\r\n"
HASH_AT: Final = len(_HEAD)
"""Where the version of our product is in the search: four hexadecimal digits, 16 bits of the cookie; even."""

STATUS: Final = np.frombuffer(b"HTTP/1.1 200", np.uint8)
_ST: Final = np.frombuffer(b"st:", np.uint8)
_USN: Final = np.frombuffer(b"usn:", np.uint8)
_NEW_LINE: Final = ord("\n")
_RETURN: Final = ord("\r")
_SPACE: Final = ord(" ")

DESCRIPTION: Final = Description(
    protocol=hdr.PROTOCOL_UDP,
    port=PORT,
    fields="source port (attempt and offset), IP ID (16 bits), product version in USER-AGENT (16 bits)",
    payload="M-SEARCH for upnp:rootdevice, MX 1",
    replies={
        Kind.ANSWER: "our port, from any port: HTTP/1.1 200 with ST and USN (weak: it returns nothing of the cookie)",
        Kind.PAYLOAD: "right ports, anything else (weak)",
        Kind.ERROR: "quotes destination and ports (weak when neither UDP checksum nor IP ID is right)",
    },
    echoes_cookie=False,
    any_port=True,
)


def template(link: LinkAddresses, options: FrameOptions, port: int) -> bytes:
    """Return the constant bytes of the search."""
    return build_frame(link, options.ttl, UDP(sport=0, dport=port, chksum=0) / Raw(_HEAD + bytes(4) + _TAIL))


@kernel
def _digit(value: int) -> int:
    """Return the hexadecimal digit of the lower four bits, as ASCII."""
    digit = value & 15
    return digit + 48 if digit < 10 else digit + 55  # noqa: PLR2004 - 0 to 9, A to F


@kernel
def _digits(hashed: int) -> int:
    """Return the four digits of the cookie, as the 32 bits of their bytes."""
    value = cookie.transaction(hashed)
    return _digit(value >> 12) << 24 | _digit(value >> 8) << 16 | _digit(value >> 4) << 8 | _digit(value)


@kernel
def datagram_checksum(address_sum: int, constant_sum: int, hashed: int, port: int) -> int:
    """Return the UDP checksum of a search; sums as in `tcp.fill`."""
    return udp_checksum(constant_sum + address_sum + port + u32_sum(_digits(hashed)))


@kernel
def fill(
    words: NDArray[np.uint16],
    frame: int,
    _target: int,
    address_sum: int,
    constant_sum: int,
    hashed: int,
    port: int,
    _attempt: int,
    _now_ns: int,
) -> None:
    """Write source port, product version and checksum into the frame at words[frame]."""
    set_be16(words, frame, TRANSPORT_AT, port)
    set_be32(words, frame, TRANSPORT_AT + hdr.UDP_LENGTH + HASH_AT, _digits(hashed))
    set_be16(words, frame, TRANSPORT_AT + hdr.UDP_CHECKSUM, datagram_checksum(address_sum, constant_sum, hashed, port))


@kernel
def carries_cookie(_frame: NDArray[np.uint8], _row: NDArray[np.int64], _hashed: int) -> bool:
    """Return False: an answer returns nothing of what varies in a search."""
    return False


@kernel
def _begins(frame: NDArray[np.uint8], at: int, end: int, text: NDArray[np.uint8]) -> bool:
    """Return whether frame[at:end] begins with a text in lower case and is longer, letters compared without case."""
    if end - at <= len(text):
        return False
    for i in range(len(text)):
        byte = int64(frame[at + i])
        if byte != int64(text[i]) and not (65 <= byte <= 90 and byte + 32 == int64(text[i])):  # noqa: PLR2004 - A to Z
            return False
    return True


@kernel
def is_answer(frame: NDArray[np.uint8], row: NDArray[np.int64]) -> bool:
    """Return whether a payload is a search response: status 200, and header fields ST and USN before the empty line."""
    at = row[p.PAYLOAD_AT]
    end = at + row[p.PAYLOAD_LENGTH]
    if end - at <= len(STATUS):
        return False
    for i in range(len(STATUS)):
        if frame[at + i] != STATUS[i]:
            return False
    following = int64(frame[at + len(STATUS)])
    if following not in (_SPACE, _RETURN, _NEW_LINE):
        return False
    has_st, has_usn = False, False
    for i in range(at + len(STATUS), end - 1):
        if int64(frame[i]) == _NEW_LINE:
            if int64(frame[i + 1]) in (_RETURN, _NEW_LINE):
                break
            has_st |= _begins(frame, i + 1, end, _ST)
            has_usn |= _begins(frame, i + 1, end, _USN)
    return has_st and has_usn
