"""Messages of netlink(7) and rtnetlink(7) as bytes: header, attributes, and what all requests and answers share."""

import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_ECHO = 1, 4, 8
NLM_F_DUMP_INTR, NLM_F_DUMP = 0x10, 0x300
SOL_NETLINK: Final = 270

LINK_HEADER: Final = struct.Struct("=BxHiII")
"""ifinfomsg: family, hardware type, index, flags, change."""

_NETLINK: Final = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port."""
_ATTRIBUTE: Final = struct.Struct("=HH")
"""nlattr: length, type."""
_TYPE_MASK: Final = 0x3FFF
"""Mask of the attribute type, without the flags for nesting and byte order."""
_ERROR: Final = struct.Struct("=i")


class Part(NamedTuple):
    """One message of a datagram: its kind (RTM_*, NLMSG_*), flags, sequence number, and what follows the header."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def open_socket(timeout_s: float, protocol: int = socket.NETLINK_ROUTE) -> socket.socket:
    """Return a socket for requests of a netlink protocol. It needs no privilege."""
    handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    handle.settimeout(timeout_s)
    handle.bind((0, 0))
    return handle


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Return a message as bytes, padded to a multiple of 4."""
    return _NETLINK.pack(_NETLINK.size + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def parts(data: bytes) -> Iterator[Part]:
    """Yield the messages in a datagram."""
    at = 0
    while at + _NETLINK.size <= len(data):
        length, kind, flags, sequence, _ = _NETLINK.unpack_from(data, at)
        if length < _NETLINK.size:
            return
        yield Part(kind, flags, sequence, data[at + _NETLINK.size : at + length])
        at += (length + 3) & ~3


def error_code(body: bytes) -> int:
    """Return the errno in the body of an NLMSG_ERROR or NLMSG_DONE; 0 if there is none."""
    return -int(_ERROR.unpack_from(body)[0]) if len(body) >= _ERROR.size else 0


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute as bytes, padded to a multiple of 4."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(body: bytes, start: int = 0) -> dict[int, bytes]:
    """Return the attributes of a body from `start` on, by kind. Of several of one kind, the last one is returned."""
    found = {}
    while start + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, start)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = body[start + _ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3
    return found
