"""Counters of devices and of their queues, read from the kernel by netlink, one device at a time.

Each request names one device by its index: a host of containers has thousands of links, and a scan reads those of its
own several times a second. No privilege is needed.
"""

import os
import socket
import struct
from dataclasses import dataclass
from typing import Final, Self

from liveness.errors import LivenessError
from liveness.net.rtnetlink import (
    LINK_HEADER,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_ECHO,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    SOL_NETLINK,
    attribute,
    attributes,
    error_code,
    message,
    open_socket,
    parts,
)

RTM_GETLINK: Final = 18
RTM_GETQDISC: Final = 38
IFLA_IFNAME: Final = 3
IFLA_LINK: Final = 5
IFLA_MASTER: Final = 10
IFLA_LINKINFO: Final = 18
IFLA_INFO_KIND: Final = 1
IFLA_STATS64: Final = 23
IFLA_LINK_NETNSID: Final = 37
TCA_STATS2: Final = 7
TCA_STATS_QUEUE: Final = 3
TC_H_ROOT: Final = 0xFFFFFFFF
QDISC_HEADER: Final = struct.Struct("=B3xiIII")
QUEUE: Final = struct.Struct("=IIIII")
NETLINK_GET_STRICT_CHK: Final = 12
BUFFER_BYTES: Final = 1 << 17
TIMEOUT_S: Final = 2.0
U32: Final = 1 << 32

STACKED: Final = frozenset({"vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "dsa"})
"""Kinds of devices whose frames leave through another one, their parent."""
MASTERS: Final = frozenset({"bridge", "bond", "team", "openvswitch", "hsr"})
"""Kinds of devices whose frames leave through other ones, their ports."""
BRIDGE: Final = "bridge"


@dataclass(frozen=True, slots=True)
class Device:
    """Network device with its counters."""

    index: int
    name: str
    kind: str
    """``bridge``, ``bond``, ``vlan`` and so on; empty for a network card."""
    parent: int | None
    """Index of the device that its frames leave through, if that is in this network namespace."""
    rx_packets: int
    tx_packets: int
    rx_dropped: int
    rx_missed: int
    tx_dropped: int
    tx_errors: int


class CounterReader:
    """Netlink socket that reads devices. Its methods raise LivenessError if a device does not exist any more."""

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Open the socket; it can be opened again after `close`."""
        self._socket = open_socket(TIMEOUT_S)
        self._strict = True
        try:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        except OSError:  # before Linux 4.20, a dump contains all links
            self._strict = False
        self._sequence = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the socket."""
        self.close()

    def close(self) -> None:
        """Close the socket. It may be called twice."""
        self._socket.close()

    @property
    def closed(self) -> bool:
        """Return whether the socket is closed."""
        return self._socket.fileno() < 0

    def device(self, index: int) -> Device:
        """Return the device with an index."""
        for body in self._request(RTM_GETLINK, 0, LINK_HEADER.pack(0, 0, index, 0, 0)):
            return _device(body)
        raise LivenessError(f"interface {index} is gone")

    def index_of(self, name: str) -> int:
        """Return the index of a device."""
        try:
            return socket.if_nametoindex(name)
        except OSError:
            raise LivenessError(f"interface {name} is gone") from None

    def ports(self, master: int) -> list[Device]:
        """Return the devices that belong to a bridge, bond or team."""
        request = LINK_HEADER.pack(0, 0, 0, 0, 0) + attribute(IFLA_MASTER, struct.pack("=I", master))
        bodies = self._request(RTM_GETLINK, NLM_F_DUMP, request)
        return [_device(body) for body in bodies if _number(attributes(body, LINK_HEADER.size), IFLA_MASTER) == master]

    def queue_drops(self, index: int) -> int:
        """Return the packets dropped by the root queueing discipline of a device, modulo 2**32; 0 if it has none."""
        try:
            # The kernel answers with a notification; with this flag the sender of the request gets it.
            for body in self._request(RTM_GETQDISC, NLM_F_ECHO, QDISC_HEADER.pack(0, index, 0, TC_H_ROOT, 0)):
                statistics = attributes(attributes(body, QDISC_HEADER.size).get(TCA_STATS2, b""))
                queue = statistics.get(TCA_STATS_QUEUE, b"")
                if len(queue) >= QUEUE.size:
                    return int(QUEUE.unpack_from(queue)[2])
        except LivenessError:  # the device has no queueing discipline
            return 0
        return 0

    def lower_devices(self, index: int) -> list[Device]:
        """Return the devices directly below one: its parent or its ports; none for a network card."""
        device = self.device(index)
        if device.kind in MASTERS:
            return self.ports(index)
        if device.kind in STACKED and device.parent is not None:
            return [self.device(device.parent)]
        return []

    def _request(self, kind: int, flags: int, body: bytes) -> list[bytes]:
        """Return the bodies of the answers to a request. Raises LivenessError with the reason of a refusal."""
        self._sequence += 1
        flags |= NLM_F_REQUEST | (0 if flags & NLM_F_DUMP else NLM_F_ACK)
        bodies: list[bytes] = []
        try:
            self._socket.send(message(kind, flags, self._sequence, body))
            while True:
                for answer, _, sequence, content in parts(self._socket.recv(BUFFER_BYTES)):
                    if sequence != self._sequence:
                        continue  # part of a late answer to an earlier request
                    if answer == NLMSG_DONE:
                        return bodies
                    if answer == NLMSG_ERROR:
                        code = error_code(content)
                        if code:
                            raise LivenessError(f"netlink: {os.strerror(code)}")
                        return bodies
                    bodies.append(content)
        except OSError as error:
            raise LivenessError(f"netlink: {error.strerror or error}") from error


def _number(found: dict[int, bytes], kind: int) -> int | None:
    value = found.get(kind, b"")
    return struct.unpack("=I", value)[0] if len(value) == struct.calcsize("=I") else None


def _device(body: bytes) -> Device:
    index = LINK_HEADER.unpack_from(body)[2]
    found = attributes(body, LINK_HEADER.size)
    information = attributes(found.get(IFLA_LINKINFO, b""))
    counted: tuple[int, ...] = struct.unpack_from("=16Q", found.get(IFLA_STATS64, bytes(128)).ljust(128, b"\0"))
    elsewhere = IFLA_LINK_NETNSID in found
    return Device(
        index=index,
        name=found.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        kind=information.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode(errors="replace"),
        parent=None if elsewhere else _number(found, IFLA_LINK),
        rx_packets=counted[0],
        tx_packets=counted[1],
        rx_dropped=counted[6],
        rx_missed=counted[15],
        tx_dropped=counted[7],
        tx_errors=counted[5],
    )
