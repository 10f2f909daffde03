"""Messages of nf_tables: tables, chains and rules as the kernel takes them over netlink (nfnetlink, libnftnl).

Only what a filter of outgoing packets needs is here. A table with the flag `owner` (Linux 5.12) belongs to the socket
that made it: no other process can change it, and it vanishes when the socket is closed, also by SIGKILL.
"""

import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from liveness.errors import UnsupportedError
from liveness.net.rtnetlink import (
    NLM_F_ACK,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    attribute,
    error_code,
    message,
    open_socket,
    parts,
)

NETLINK_NETFILTER: Final = 12
LINUX_5_12: Final = "use Linux 5.12 or newer with nf_tables (sudo modprobe nf_tables), and CAP_NET_ADMIN"

_SUBSYSTEM: Final = 10  # NFNL_SUBSYS_NFTABLES
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 3, 6
_EXCLUSIVE, _CREATE, _APPEND = 0x200, 0x400, 0x800
_NESTED: Final = 0x8000
_IPV4: Final = 2  # NFPROTO_IPV4
_OWNER: Final = 2  # NFT_TABLE_F_OWNER
_LOCAL_OUT: Final = 3  # NF_INET_LOCAL_OUT
_REGISTER: Final = 1
_VERDICT_REGISTER: Final = 0
_DROP: Final = 0
_TRANSPORT_HEADER: Final = 2  # NFT_PAYLOAD_TRANSPORT_HEADER
_META_L4PROTO: Final = 16
EQUAL, AT_MOST, AT_LEAST, UNEQUAL = 0, 3, 5, 1
_TIMEOUT_S: Final = 5.0
_REPLY_BYTES: Final = 1 << 16


def _nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value & 0xFFFFFFFF))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _expression(name: str, *attributes: bytes) -> bytes:
    return _nested(1, _text(1, name), _nested(2, *attributes))


def is_protocol(protocol: int) -> bytes:
    """Return the expressions of a match on the transport protocol."""
    load = _expression("meta", _number(1, _REGISTER), _number(2, _META_L4PROTO))
    return load + _compare(EQUAL, bytes([protocol]))


def transport_bytes(offset: int, relation: int, value: bytes, mask: bytes = b"") -> bytes:
    """Return the expressions of a match on bytes of the transport header, `mask` applied first if there is one."""
    length = _number(4, len(value))
    load = _expression("payload", _number(1, _REGISTER), _number(2, _TRANSPORT_HEADER), _number(3, offset), length)
    if mask:
        parts = (_nested(4, attribute(1, mask)), _nested(5, attribute(1, bytes(len(mask)))))
        load += _expression("bitwise", _number(1, _REGISTER), _number(2, _REGISTER), _number(3, len(mask)), *parts)
    return load + _compare(relation, value)


def _compare(relation: int, value: bytes) -> bytes:
    return _expression("cmp", _number(1, _REGISTER), _number(2, relation), _nested(3, attribute(1, value)))


def drop() -> bytes:
    """Return the expression that drops the packet."""
    return _expression("immediate", _number(1, _VERDICT_REGISTER), _nested(2, _nested(2, _number(1, _DROP))))


def own_output_filter(name: str, rules: Sequence[bytes]) -> socket.socket:
    """Install a table with rules for the IPv4 packets that this host sends, and return the socket that owns it.

    `rules` are expressions one after the other. The table is in the network namespace of this process and exists while
    the socket is open. Raises UnsupportedError if the kernel refuses it.
    """
    try:
        handle = open_socket(_TIMEOUT_S, NETLINK_NETFILTER)
    except OSError as error:
        raise UnsupportedError(f"nf_tables: {error.strerror}: {LINUX_5_12}") from error
    hook = _nested(4, _number(1, _LOCAL_OUT), _number(2, 0))
    chain = (_text(1, name), _text(3, "output"), hook, _text(7, "filter"))
    messages = [
        (_NEW_TABLE, _CREATE | _EXCLUSIVE, _text(1, name) + _number(2, _OWNER)),
        (_NEW_CHAIN, _CREATE | _EXCLUSIVE, b"".join(chain)),
    ]
    place = _text(1, name) + _text(2, "output")
    messages += [(_NEW_RULE, _CREATE | _APPEND, place + _nested(4, rule)) for rule in rules]
    try:
        _commit(handle, messages)
    except OSError as error:
        handle.close()
        raise UnsupportedError(f"nf_tables: {error.strerror or error}: {LINUX_5_12}") from error
    return handle


def _commit(handle: socket.socket, messages: Sequence[tuple[int, int, bytes]]) -> None:
    """Send messages as one transaction. Raises OSError for the first that the kernel refuses."""
    batch = [_message(_BATCH_BEGIN, NLM_F_REQUEST, 0, _SUBSYSTEM, b"")]
    for number, (kind, flags, body) in enumerate(messages, 1):
        batch.append(_message(_SUBSYSTEM << 8 | kind, NLM_F_REQUEST | NLM_F_ACK | flags, number, 0, body))
    batch.append(_message(_BATCH_END, NLM_F_REQUEST, len(messages) + 1, _SUBSYSTEM, b""))
    handle.sendto(b"".join(batch), (0, 0))
    confirmed = 0
    while confirmed < len(messages):
        for code in _results(handle.recv(_REPLY_BYTES)):
            if code:
                raise OSError(code, os.strerror(code))
            confirmed += 1


def _message(kind: int, flags: int, number: int, resource: int, body: bytes) -> bytes:
    family = _IPV4 if kind > _BATCH_END else 0
    return message(kind, flags, number, struct.pack(">BBH", family, 0, resource) + body)  # nfgenmsg


def _results(data: bytes) -> list[int]:
    """Return the error number of each result in a datagram of the kernel, 0 for success."""
    return [error_code(part.body) for part in parts(data) if part.kind == NLMSG_ERROR]
