"""Packet sockets: how they are opened, the privilege they need, and errors of interfaces that failed."""

import ctypes
import errno
import os
import shlex
import socket
import struct
import sys
from pathlib import Path
from typing import Final

from liveness.errors import InterfaceDownError, InterfaceGoneError, LivenessError, UnsupportedError, UsageError
from liveness.system.child import libc

_PACKET_ADDRESS: Final = struct.Struct("=HHiHBB8s")
"""struct sockaddr_ll: family, protocol, index, hardware type, packet type, address length, address."""


def raw_socket_remedy() -> str:
    """Return a text on how a user gets the privilege to open packet sockets."""
    python = shlex.quote(str(Path(sys.executable).resolve()))
    return f"run as root, or: sudo setcap cap_net_raw+ep {python}, or work inside `liveness lab exec`"


def open_packet_socket(kind: int = socket.SOCK_RAW) -> socket.socket:
    """Return an AF_PACKET socket that receives nothing yet (protocol 0). Raises UnsupportedError without the privilege.

    `kind` is SOCK_RAW for frames, or SOCK_DGRAM for packets that begin with their IP header.
    """
    try:
        return socket.socket(socket.AF_PACKET, kind | socket.SOCK_CLOEXEC, 0)
    except OSError as error:
        raise packet_socket_refused(error) from error


def packet_socket_refused(error: OSError) -> UnsupportedError:
    """Return the error for a packet socket that could not be opened."""
    if isinstance(error, PermissionError):
        return UnsupportedError(f"raw sockets need CAP_NET_RAW: {raw_socket_remedy()}")
    return UnsupportedError(f"this kernel has no packet sockets (AF_PACKET): {error.strerror}")


def bind_packet_socket(handle: socket.socket, interface: str, protocol: int) -> None:
    """Bind a packet socket to an interface; `protocol` is an EtherType in host order, or 0 to receive nothing."""
    try:
        handle.bind((interface, protocol))
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise UsageError(f"no interface {interface!r} here: name one of {', '.join(interface_names())}") from error
        raise lost_interface(interface, error) from error


def interface_names() -> list[str]:
    """Return the names of the interfaces in this network namespace."""
    return [name for _, name in socket.if_nameindex()]


def interface_index(name: str) -> int:
    """Return the index of an interface. Raises UsageError that lists the interfaces if there is none of that name."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise UsageError(f"no interface {name!r} here: name one of {', '.join(interface_names())}") from error


def lost_interface(interface: str, error: OSError, index: int = 0) -> LivenessError:
    """Return the error for a socket that failed on `interface`: InterfaceDownError, InterfaceGoneError, or another.

    A kernel that removes an interface brings it down first. With `index` (of the interface when the socket was bound),
    an interface that is down and no longer exists counts as removed.
    """
    code = error.errno or 0
    reason = f"interface {interface}: {os.strerror(code)}"
    if code in (errno.ENXIO, errno.ENODEV) or (code == errno.ENETDOWN and index and not index_exists(index)):
        return InterfaceGoneError(f"{reason}: it was removed; `liveness scan --resume` resumes when it is back")
    if code == errno.ENETDOWN:
        return InterfaceDownError(f"{reason}: it went down; bring it up (ip link set {interface} up)")
    if code == errno.ENOMEM:
        return LivenessError(f"{reason}: the kernel has no memory for the ring; make it smaller (receive.ring_mib)")
    return LivenessError(f"{reason}: see the kernel's log")


def bound_index(handle: socket.socket) -> int:
    """Return the index of the interface that a packet socket is bound to, or -1 if it was removed (packet(7)).

    This uses the socket itself, because a confined process cannot open another one.
    """
    address = ctypes.create_string_buffer(_PACKET_ADDRESS.size)
    size = ctypes.c_uint(len(address))
    if libc.getsockname(handle.fileno(), address, ctypes.byref(size)) != 0:
        return -1
    return int(_PACKET_ADDRESS.unpack(address.raw)[2])


def index_exists(index: int) -> bool:
    """Return whether this network namespace has an interface with that index."""
    try:
        socket.if_indextoname(index)
    except OSError:
        return False
    return True
