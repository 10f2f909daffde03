"""Owns how many queues an interface uses, and how long they are: what its driver tells over ETHTOOL ioctls."""

import ctypes
import fcntl
import socket
import struct
from typing import Final

from pyroute2 import IPRoute

from liveness.net.sockets import interface_index

SIOCETHTOOL: Final = 0x8946
ETHTOOL_GRINGPARAM: Final = 0x10
ETHTOOL_GCHANNELS: Final = 0x3C


def transmit_queues(interface: str) -> int:
    """Return how many transmit queues are in use: as many AF_XDP sockets can send on the interface at once.

    Netlink (IFLA_NUM_TX_QUEUES) counts those that were allocated: what is sent on one beyond those in use never leaves.
    A driver that does not tell uses all.
    """
    with IPRoute() as netlink:
        (message,) = netlink.link("get", index=interface_index(interface))
    allocated = int(message.get_attr("IFLA_NUM_TX_QUEUES") or 1)
    channels = _ask(interface, ETHTOOL_GCHANNELS, 8)  # most rx, tx, other, combined; rx, tx, other, combined in use
    if channels is None:
        return allocated
    return min(allocated, (channels[5] + channels[7]) or allocated)


def receive_ring_frames(interface: str) -> int | None:
    """Return how many frames the card's receive ring holds; None where the driver does not tell."""
    parameters = _ask(interface, ETHTOOL_GRINGPARAM, 8)  # most rx, rx mini, rx jumbo, tx; then those in use
    return parameters[4] or None if parameters is not None else None


def _ask(interface: str, command: int, numbers: int) -> tuple[int, ...] | None:
    """Return the numbers that a driver answers an ETHTOOL command with; None if it has no answer."""
    answer = ctypes.create_string_buffer(struct.pack("I", command), 4 * (1 + numbers))
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(answer))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as handle:
            fcntl.ioctl(handle, SIOCETHTOOL, request)
    except OSError:
        return None
    return struct.unpack(f"{1 + numbers}I", answer.raw)[1:]
