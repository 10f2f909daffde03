"""Owns opening packet sockets: the privilege they need, and the errors that mean the interface has gone."""

import errno
import os
import shlex
import socket
import sys
from pathlib import Path

from liveness.errors import LivenessError, UnsupportedError, UsageError


def raw_socket_remedy() -> str:
    """Say how a user gets the privilege to open packet sockets."""
    python = shlex.quote(str(Path(sys.executable).resolve()))
    return f"run as root, or: sudo setcap cap_net_raw+ep {python}, or work inside `liveness lab exec`"


def open_packet_socket() -> socket.socket:
    """Return a raw AF_PACKET socket that receives nothing yet (protocol 0); UnsupportedError without the privilege."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise UnsupportedError(f"raw sockets need CAP_NET_RAW: {raw_socket_remedy()}") from error
    except OSError as error:
        raise UnsupportedError(f"this kernel has no packet sockets (AF_PACKET): {error.strerror}") from error


def bind_packet_socket(handle: socket.socket, interface: str, protocol: int) -> None:
    """Bind to an interface; `protocol` is an EtherType in host order, 0 to receive nothing."""
    try:
        handle.bind((interface, protocol))
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise UsageError(f"no interface {interface!r} here: name one of {', '.join(interface_names())}") from error
        raise lost_interface(interface, error) from error


def interface_names() -> list[str]:
    """Return the names of this network namespace's interfaces."""
    return [name for _, name in socket.if_nameindex()]


def lost_interface(interface: str, error: OSError) -> LivenessError:
    """Return the error for a packet socket that failed on `interface`, naming what to look at."""
    remedy = {
        errno.ENETDOWN: "it went down; bring it up and start again",
        errno.ENXIO: "it was removed; start again when it is back",
        errno.ENODEV: "it was removed; start again when it is back",
        errno.ENOMEM: "the kernel has no memory for the ring; make it smaller (receive.ring_mib)",
    }.get(error.errno or 0, "see the kernel's log")
    return LivenessError(f"interface {interface}: {os.strerror(error.errno or 0)}: {remedy}")
