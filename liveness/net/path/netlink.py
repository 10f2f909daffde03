"""Raw rtnetlink: many requests per system call, and events of the kernel without waiting (rtnetlink(7)).

pyroute2 is used for single requests. Reading thousands of routes, or reading ten times a second, needs less overhead.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from liveness.errors import LivenessError
from liveness.net.rtnetlink import (
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    SOL_NETLINK,
    error_code,
    message,
    open_socket,
    parts,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34

GROUPS: Final = (1, 3, 5, 7, 8, 32)
"""RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _NEXTHOP."""

ADDRESS_HEADER: Final = struct.Struct("=BBBBi")
"""ifaddrmsg: family, prefix length, flags, scope, index."""
ROUTE_HEADER: Final = struct.Struct("=BBBBBBBBI")
"""rtmsg and fib_rule_hdr: family, destination and source length, TOS, table, protocol, scope, type, flags."""
NEIGHBOUR_HEADER: Final = struct.Struct("=B3xiHBB")
"""ndmsg: family, index, state, flags, type."""

_NETLINK_ADD_MEMBERSHIP: Final = 1
_RECEIVE_BYTES: Final = 1 << 18
_BUFFER_BYTES: Final = 1 << 22
_AT_ONCE: Final = 64
"""Requests per system call. Their answers fit in the smallest receive buffer."""
_TIMEOUT_S: Final = 5.0
_DUMP_TRIES: Final = 5


class Message(NamedTuple):
    """Netlink message: its kind (RTM_*) and its content after the netlink header."""

    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of the kernel to one request: a message, or the errno of a refusal."""

    message: Message | None
    error: int


class Netlink:
    """Socket for requests. It needs no privilege, so that it works after a privilege drop."""

    def __init__(self) -> None:
        self._socket = _open()
        self._sequence = 0

    def request(self, kind: int, body: bytes) -> Answer:
        """Send one request and return the answer. Raises LivenessError if the kernel does not answer."""
        return self.request_all(kind, [body])[0]

    def request_all(self, kind: int, bodies: Sequence[bytes]) -> list[Answer]:
        """Send requests of one kind and return their answers in order. LivenessError if the kernel does not answer."""
        answers: list[Answer] = []
        for at in range(0, len(bodies), _AT_ONCE):
            part = bodies[at : at + _AT_ONCE]
            first = self._sequence + 1
            self._sequence += len(part)
            self._socket.send(b"".join(message(kind, NLM_F_REQUEST, first + i, body) for i, body in enumerate(part)))
            given: dict[int, Answer] = {}
            wanted = range(first, first + len(part))
            while len(given) < len(part):
                given |= {sequence: answer for sequence, answer, _ in self._answers() if sequence in wanted}
            answers += [given[sequence] for sequence in wanted]
        return answers

    def dump(self, kind: int, body: bytes) -> list[Message]:
        """Return all messages of a kind. Raises LivenessError if the kernel refuses or its tables keep changing."""
        for _ in range(_DUMP_TRIES):
            self._sequence += 1
            self._socket.send(message(kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, body))
            found: list[Message] = []
            interrupted = done = False
            while not done:
                for sequence, answer, flags in self._answers():
                    if sequence != self._sequence:
                        continue
                    interrupted |= bool(flags & NLM_F_DUMP_INTR)
                    if answer.message is not None:
                        found.append(answer.message)
                    elif answer.error:
                        raise LivenessError(f"the kernel does not list its tables: {os.strerror(answer.error)}")
                    else:
                        done = True
            if not interrupted:
                return found
        raise LivenessError("the kernel's routing tables change faster than they can be read")

    def _answers(self) -> Iterator[tuple[int, Answer, int]]:
        """Yield (sequence, answer, flags) of one datagram. The end of a dump is an answer without message and error."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except TimeoutError as error:
            raise LivenessError(f"the kernel has not answered on netlink for {_TIMEOUT_S:.0f} s") from error
        except OSError as error:
            raise LivenessError(f"netlink: {error.strerror}") from error
        for kind, flags, sequence, body in parts(data):
            if kind in (NLMSG_ERROR, NLMSG_DONE):
                yield sequence, Answer(None, error_code(body)), flags
            else:
                yield sequence, Answer(Message(kind, body), 0), flags

    def close(self) -> None:
        """Close the socket. It may be called twice."""
        self._socket.close()


class Events:
    """Subscription to changes of links, neighbours, IPv4 addresses, routes, rules and next-hop objects."""

    def __init__(self) -> None:
        self._socket = _open()
        for group in GROUPS:
            try:
                self._socket.setsockopt(SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
            except OSError as error:  # kernels before 5.3 have no next-hop objects and no such group
                if error.errno not in (errno.EINVAL, errno.ENOENT):
                    raise LivenessError(f"netlink: {error.strerror}") from error
        self._socket.setblocking(False)

    def read(self) -> tuple[list[Message], bool]:
        """Return the events since the last call, and whether some were lost. This does not wait."""
        found: list[Message] = []
        lost = False
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return found, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise LivenessError(f"netlink: {error.strerror}") from error
                lost = True
                continue
            found += [Message(kind, body) for kind, _, _, body in parts(data)]

    def close(self) -> None:
        """Close the socket. It may be called twice."""
        self._socket.close()


def _open() -> socket.socket:
    try:
        handle = open_socket(_TIMEOUT_S)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    except OSError as error:
        raise LivenessError(f"cannot ask the kernel about routes (netlink): {error.strerror}") from error
    return handle
