"""Interfaces of this network namespace: what they are, what they counted and dropped, how many queues they use."""

import ctypes
import fcntl
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute, NetlinkError

from liveness.errors import LivenessError, UsageError
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

COUNTERS: Final = Path("/proc/self/net/dev")
"""This process's own network namespace, wherever /proc was mounted."""
_RECEIVED_DROP: Final = 3
_SENT_DROP: Final = 11
"""Columns of that file."""
_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_GRINGPARAM: Final = 0x10
_ETHTOOL_GCHANNELS: Final = 0x3C


@dataclass(frozen=True, slots=True)
class Link:
    """One interface."""

    name: str
    index: int
    mtu: int
    mac: bytes
    up: bool
    carrier: bool
    ethernet: bool
    raw_ip: bool = False
    """Whether its packets begin with their IP header: the link has one other end, without a MAC address."""


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    """What an interface has counted since it was made, its driver's and its card's losses apart."""

    rx_packets: int
    tx_packets: int
    rx_dropped: int
    """Received and dropped on this host, for want of memory or of a receiver."""
    tx_dropped: int
    rx_errors: int
    tx_errors: int
    rx_missed: int
    """Lost in the card, before the host saw them."""

    @property
    def rx_lost(self) -> int:
        """Received and lost before anybody could take them, in the card or in the host."""
        return self.rx_dropped + self.rx_missed


def find_link(name: str) -> Link:
    """Return the interface of that name; UsageError with those that exist if there is none."""
    return _link(_message(name))


def link_of_index(index: int) -> Link:
    """Return the interface of that index; KeyError if there is none."""
    return _link(_of_index(index))


def usable(link: Link) -> Link:
    """Return `link` if it can send: it takes Ethernet frames or IP packets, is up and connected.

    UsageError with the remedy if not.
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


def interface_counters(name: str) -> InterfaceCounters:
    """Return the counters of an interface, over netlink: /sys shows the namespace it was mounted in, not this one."""
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


def interface_drops(name: str, counters: str | None = None) -> int:
    """Return how many packets, received or to be sent, an interface or its driver has dropped since it was made.

    This costs less than `interface_counters`, and a scan reads it several times a second. `counters` is the text of
    /proc/net/dev if it has been read already. LivenessError if there is no such interface.
    """
    for line in (COUNTERS.read_text() if counters is None else counters).splitlines():
        interface, colon, numbers = line.partition(":")
        if colon and interface.strip() == name:
            columns = numbers.split()
            return int(columns[_RECEIVED_DROP]) + int(columns[_SENT_DROP])
    raise LivenessError(f"interface {name} is gone")


def transmit_queues(interface: str) -> int:
    """Return how many transmit queues are in use: as many AF_XDP sockets can send on the interface at once.

    Netlink (IFLA_NUM_TX_QUEUES) counts those that were allocated: what is sent on one beyond those in use never leaves.
    Where the driver does not report them all are in use.
    """
    with IPRoute() as netlink:
        (message,) = netlink.link("get", index=interface_index(interface))
    allocated = int(message.get_attr("IFLA_NUM_TX_QUEUES") or 1)
    # The most of rx, tx, other and combined that there can be, then those in use.
    channels = _ask_driver(interface, _ETHTOOL_GCHANNELS, 8)
    if channels is None:
        return allocated
    return min(allocated, (channels[5] + channels[7]) or allocated)


def receive_ring_frames(interface: str) -> int | None:
    """Return how many frames the card's receive ring holds; None where the driver does not report it."""
    parameters = _ask_driver(interface, _ETHTOOL_GRINGPARAM, 8)  # most rx, rx mini, rx jumbo, tx; then those in use
    return parameters[4] or None if parameters is not None else None


def _ask_driver(interface: str, command: int, numbers: int) -> tuple[int, ...] | None:
    """Return the numbers that a driver answers an ETHTOOL command with; None if it has no answer."""
    answer = ctypes.create_string_buffer(struct.pack("I", command), 4 * (1 + numbers))
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(answer))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
            fcntl.ioctl(handle, _SIOCETHTOOL, request)
    except OSError:
        return None
    return struct.unpack(f"{1 + numbers}I", answer.raw)[1:]


def in_lab() -> bool:
    """Return whether this network namespace has the lab's marker."""
    return LAB_MARKER in interface_names()


def _message(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - pyroute2 gives its messages no public type
    try:
        return _of_index(interface_index(name))
    except KeyError as error:  # removed since it was found
        raise UsageError(f"no interface {name!r} here: name one of {', '.join(interface_names())}") from error


def _of_index(index: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as above
    """Return the message about one link: a host of containers has thousands, and this runs every second."""
    try:
        with IPRoute() as netlink:
            return next(iter(netlink.link("get", index=index)))
    except NetlinkError as error:
        raise KeyError(index) from error


def _has_other_end(message) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001 - as above
    """Return whether what is sent needs no address below IP: GRE without a remote end wants one for every packet."""
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
