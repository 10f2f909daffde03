"""Interfaces of this network namespace: their properties, counters, drops and queues."""

import ctypes
import fcntl
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pyroute2 import IPRoute, NetlinkError

from liveness.errors import UsageError
from liveness.net.counters import CounterReader
from liveness.net.sockets import interface_index, interface_names

LAB_MARKER = "liveness-lab"
"""A link of this name marks the network namespace of a lab. Its kind does not matter."""

ARPHRD_ETHER = 1
ARPHRD_IPGRE, ARPHRD_IP6GRE = 778, 823
RAW_IP = frozenset({512, 519, 768, 769, 776, ARPHRD_IPGRE, ARPHRD_IP6GRE, 0xFFFE, 0xFFFF})
"""Hardware types whose packets begin with their IP header: ARPHRD_PPP, _RAWIP, _TUNNEL, _TUNNEL6, _SIT, _IPGRE,
_IP6GRE, _NONE (tun, WireGuard) and _VOID."""
IFF_UP = 0x1
IFF_LOWER_UP = 0x10000

CARRIER_S: Final = 10.0
"""Time in which a card finds its carrier again after a reset."""
CARRIER_LOOK_S: Final = 0.1

_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_GRINGPARAM: Final = 0x10
_ETHTOOL_SGRO: Final = 0x2C
_ETHTOOL_GCHANNELS: Final = 0x3C


@dataclass(frozen=True, slots=True)
class Link:
    """Network interface."""

    name: str
    index: int
    mtu: int
    mac: bytes
    up: bool
    carrier: bool
    ethernet: bool
    raw_ip: bool = False
    """Whether packets begin with their IP header: the link is point-to-point, without MAC addresses."""


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """Counters of an interface since it was created. Losses in the network card are separate from the host's."""

    rx_packets: int
    tx_packets: int
    rx_dropped: int
    """Packets received and then dropped on this host, for lack of memory or of a receiver."""
    tx_dropped: int
    rx_errors: int
    tx_errors: int
    rx_missed: int
    """Packets lost in the network card before the host saw them."""

    @property
    def rx_lost(self) -> int:
        """Packets received and lost in the network card or on the host."""
        return self.rx_dropped + self.rx_missed


def find_link(name: str) -> Link:
    """Return the interface with a name. Raises UsageError that lists the interfaces if there is none."""
    return _link(_message(name))


def link_of_index(index: int) -> Link:
    """Return the interface with an index. Raises KeyError if there is none."""
    return _link(_of_index(index))


def usable(link: Link) -> Link:
    """Return `link` if it can send: it takes Ethernet frames or IP packets, is up, and has a carrier.

    Raises UsageError with the remedy otherwise.
    """
    if not link.ethernet and not link.raw_ip:
        raise UsageError(
            f"interface {link.name} takes neither Ethernet frames nor IP packets to one other end: set"
            " network.interface to another"
        )
    if not link.up:
        raise UsageError(f"interface {link.name} is down: bring it up (ip link set {link.name} up)")
    if not link.carrier:
        raise UsageError(f"interface {link.name} has no carrier: connect it, or set network.interface to another")
    return link


@contextmanager
def carrier_awaited(name: str) -> Iterator[None]:
    """Wait behind the body until an interface has a carrier again, if it had one before, for at most CARRIER_S.

    Some drivers (igb, ixgbe, i40e) reset the card when an XDP program is attached. An interface that was removed is not
    awaited.
    """
    had = find_link(name).carrier
    yield
    deadline = time.monotonic() + CARRIER_S
    while had and time.monotonic() < deadline:
        try:
            if find_link(name).carrier:
                return
        except UsageError:
            return
        time.sleep(CARRIER_LOOK_S)


def interface_counters(name: str) -> InterfaceCounters:
    """Return the counters of an interface by netlink. /sys may show another namespace, that of its mount."""
    counted = _message(name).get_attr("IFLA_STATS64")
    return InterfaceCounters(
        rx_packets=counted["rx_packets"],
        tx_packets=counted["tx_packets"],
        rx_dropped=counted["rx_dropped"],
        tx_dropped=counted["tx_dropped"],
        rx_errors=counted["rx_errors"],
        tx_errors=counted["tx_errors"],
        rx_missed=counted["rx_missed_errors"],
    )


def interface_drops(name: str) -> int:
    """Return the number of received and sent packets that an interface or its driver dropped since it was created.

    This is faster than `interface_counters`; a scan calls it several times a second. Raises LivenessError if there is
    no such interface.
    """
    with CounterReader() as reader:
        device = reader.device(reader.index_of(name))
    return device.rx_dropped + device.rx_missed + device.tx_dropped


def transmit_queues(interface: str) -> int:
    """Return the number of transmit queues in use, which limits the AF_XDP sockets that can send at the same time.

    Netlink (IFLA_NUM_TX_QUEUES) counts allocated queues, and a frame on a queue that is not in use is never sent. If
    the driver does not report the queues in use, all are assumed to be.
    """
    with IPRoute() as netlink:
        (message,) = netlink.link("get", index=interface_index(interface))
    allocated = int(message.get_attr("IFLA_NUM_TX_QUEUES") or 1)
    # eight numbers: maxima of rx, tx, other and combined channels, then those in use in the same order
    channels = _query_driver(interface, _ETHTOOL_GCHANNELS, 8)
    if channels is None:
        return allocated
    return min(allocated, (channels[5] + channels[7]) or allocated)


def receive_ring_frames(interface: str) -> int | None:
    """Return the length of the network card's receive ring in frames, or None if the driver does not report it."""
    parameters = _query_driver(interface, _ETHTOOL_GRINGPARAM, 8)  # maxima of rx, rx mini, rx jumbo, tx; then values
    return parameters[4] or None if parameters is not None else None


def _query_driver(interface: str, command: int, numbers: int) -> tuple[int, ...] | None:
    """Return the numbers with which a driver answers an ETHTOOL command, or None if it does not support it."""
    answer = ctypes.create_string_buffer(struct.pack("I", command), 4 * (1 + numbers))
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(answer))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
            fcntl.ioctl(handle, _SIOCETHTOOL, request)
    except OSError:
        return None
    return struct.unpack(f"{1 + numbers}I", answer.raw)[1:]


def switch_gro_on(interface: str) -> None:
    """Switch on GRO at one end of a veth link, whose other end then takes frames of XDP programs. Raises OSError."""
    setting = ctypes.create_string_buffer(struct.pack("2I", _ETHTOOL_SGRO, 1), 8)
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(setting))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)


def in_lab() -> bool:
    """Return whether this network namespace has the lab's marker link."""
    return LAB_MARKER in interface_names()


def _message(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - pyroute2 gives its messages no public type
    try:
        return _of_index(interface_index(name))
    except KeyError as error:  # removed since it was found
        raise UsageError(f"no interface {name!r} here: name one of {', '.join(interface_names())}") from error


def _of_index(index: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as above
    """Return the message about one link. A dump would return thousands of links on a host of containers."""
    try:
        with IPRoute() as netlink:
            return next(iter(netlink.link("get", index=index)))
    except NetlinkError as error:
        raise KeyError(index) from error


def _has_other_end(message) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001 - as above
    """Return whether the link has a fixed remote end. GRE without one needs an address below IP for each packet."""
    if message["ifi_type"] not in (ARPHRD_IPGRE, ARPHRD_IP6GRE):
        return True
    return bool((message.get_attr("IFLA_BROADCAST") or "").strip("0:."))


def _link(message) -> Link:  # type: ignore[no-untyped-def]  # noqa: ANN001 - as above
    ethernet = message["ifi_type"] == ARPHRD_ETHER
    return Link(
        name=message.get_attr("IFLA_IFNAME"),
        index=message["index"],
        mtu=message.get_attr("IFLA_MTU"),
        mac=bytes.fromhex(message.get_attr("IFLA_ADDRESS").replace(":", "")) if ethernet else bytes(6),
        up=bool(message["flags"] & IFF_UP),
        carrier=bool(message["flags"] & IFF_LOWER_UP),
        ethernet=ethernet,
        raw_ip=message["ifi_type"] in RAW_IP and _has_other_end(message),
    )
