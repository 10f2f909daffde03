"""System calls of transmit rings in one place, which tests replace to simulate another kernel."""

import ctypes
import mmap
import os
import select
import socket
from typing import Protocol

from liveness.net import links, xdp_program
from liveness.net.sockets import interface_index
from liveness.system.child import libc


class RingSocket(Protocol):
    """Raw socket with memory that it shares with the kernel. Methods raise OSError if the kernel refuses."""

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        """Set a socket option."""
        ...

    def option(self, level: int, option: int, size: int) -> bytes:
        """Return a socket option: `size` bytes, or fewer if this kernel has fewer."""
        ...

    def map(self, size: int, offset: int = 0) -> mmap.mmap:
        """Map `size` bytes of the memory shared with the kernel."""
        ...

    def bind(self, address: bytes) -> None:
        """Bind to an address in the kernel's layout (struct sockaddr_*)."""
        ...

    def kick(self) -> int:
        """Make the kernel send the frames in the ring, without waiting; return an errno, or 0 if it took all."""
        ...

    def writable(self, timeout_s: float) -> bool:
        """Wait until the send buffer has room, for at most `timeout_s`; return whether it has."""
        ...

    def fileno(self) -> int:
        """Return the descriptor."""
        ...

    def close(self) -> None:
        """Close the socket. It may be called twice."""
        ...


class KernelSocket:
    """RingSocket of the running kernel."""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._writable = select.poll()
        self._writable.register(self._socket, select.POLLOUT)

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        """Set a socket option."""
        self._socket.setsockopt(level, option, value)

    def option(self, level: int, option: int, size: int) -> bytes:
        """Return a socket option."""
        return self._socket.getsockopt(level, option, size)

    def map(self, size: int, offset: int = 0) -> mmap.mmap:
        """Map `size` bytes."""
        return mmap.mmap(self._socket.fileno(), size, offset=offset)

    def bind(self, address: bytes) -> None:
        """Bind to an address by the C function: sockets of Python do not support AF_XDP addresses."""
        if libc.bind(self._socket.fileno(), address, len(address)) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def kick(self) -> int:
        """Send the frames in the ring. The errno is returned, because most of its values are no failures."""
        if libc.sendto(self._socket.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0) < 0:
            return ctypes.get_errno()
        return 0

    def writable(self, timeout_s: float) -> bool:
        """Wait until the send buffer has room."""
        return bool(self._writable.poll(timeout_s * 1000))

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Kernel:
    """Kernel calls of transports. Tests replace this class by one that simulates them."""

    def open(self, family: int) -> RingSocket:
        """Open a raw socket. Raises OSError without the privilege, or if the kernel does not support the family."""
        return KernelSocket(family)

    def transmit_queues(self, interface: str) -> int:
        """Return the number of transmit queues of an interface that are in use."""
        return links.transmit_queues(interface)

    def receive_ring_frames(self, interface: str) -> int | None:
        """Return the length of the network card's receive ring in frames, or None if it is unknown."""
        return links.receive_ring_frames(interface)

    def program_attached(self, interface: str) -> bool:
        """Return whether an interface has an XDP program."""
        return xdp_program.program_attached(interface_index(interface))

    def attach_pass_program(self, interface: str) -> int:
        """Attach a program that passes every packet to the host; return the descriptor that keeps it attached."""
        return xdp_program.attach_pass_program(interface, interface_index(interface))


KERNEL = Kernel()
