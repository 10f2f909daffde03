"""The system calls that transmit rings are made of, in one place: a test answers them as another kernel would."""

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
    """A raw socket with memory that it shares with the kernel; OSError where the kernel refuses."""

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        """Set a socket option."""
        ...

    def option(self, level: int, option: int, size: int) -> bytes:
        """Return a socket option: `size` bytes, or as many as this kernel has."""
        ...

    def map(self, size: int, offset: int = 0) -> mmap.mmap:
        """Map `size` bytes of the memory that is shared with the kernel."""
        ...

    def bind(self, address: bytes) -> None:
        """Bind to an address, laid out as the kernel has it (struct sockaddr_*)."""
        ...

    def kick(self) -> int:
        """Ask the kernel to send what the ring holds, without waiting; return an errno, or 0 if it took everything."""
        ...

    def writable(self, timeout_s: float) -> bool:
        """Wait until the send buffer has room, at most `timeout_s`; return whether it has."""
        ...

    def fileno(self) -> int:
        """Return the descriptor."""
        ...

    def close(self) -> None:
        """Close the socket. Twice is harmless."""
        ...


class KernelSocket:
    """A RingSocket of the kernel that runs here."""

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
        """Bind to an address: Python's own socket knows none of AF_XDP."""
        if libc.bind(self._socket.fileno(), address, len(address)) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def kick(self) -> int:
        """Send nothing but what the ring holds; the errno is returned because most of them are no failures."""
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
    """The kernel calls of transports. This class makes them; tests replace it with one that answers by itself."""

    def open(self, family: int) -> RingSocket:
        """Open a raw socket; OSError without the privilege, or where the kernel has no such family."""
        return KernelSocket(family)

    def transmit_queues(self, interface: str) -> int:
        """Return how many transmit queues of an interface are in use."""
        return links.transmit_queues(interface)

    def receive_ring_frames(self, interface: str) -> int | None:
        """Return how many frames the card's receive ring holds; None where that is not known."""
        return links.receive_ring_frames(interface)

    def program_attached(self, interface: str) -> bool:
        """Return whether an interface has an XDP program."""
        return xdp_program.program_attached(interface_index(interface))

    def attach_pass_program(self, interface: str) -> int:
        """Attach a program that leaves every packet to the host; return the descriptor that keeps it."""
        return xdp_program.attach_pass_program(interface, interface_index(interface))


KERNEL = Kernel()
