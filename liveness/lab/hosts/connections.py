"""Connections to open TCP ports of real hosts: what a server does after the handshake, over the kernel's own TCP."""

import selectors
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from liveness.lab.services.behaviours import SERVER_FIRST, Behaviour
from liveness.lab.services.scripts import FLOOD_SEGMENTS
from liveness.lab.services.voices import Voice, text_of

REQUEST_BYTES: Final = 4096
_AT_ONCE: Final = (Behaviour.CLOSES, Behaviour.RESETS)
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: closing sends an RST (socket(7))."""


@dataclass(frozen=True, slots=True)
class Port:
    """An open port and what it does; ports on which nobody talks close."""

    number: int
    behaviour: Behaviour

    def accept(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        """Accept a connection, and react or wait for the request. BlockingIOError if there is none."""
        try:
            handle, _ = listener.accept()
        except ConnectionError:  # it was reset before it was accepted
            return
        handle.setblocking(False)
        connection = Connection(handle, self)
        if self.behaviour in _AT_ONCE or self.number in SERVER_FIRST:
            connection.react()
        if handle.fileno() >= 0:
            selector.register(handle, selectors.EVENT_READ, connection)


@dataclass(slots=True)
class Connection:
    """An accepted connection."""

    handle: socket.socket
    port: Port
    asked: bool = False

    def read(self, selector: selectors.BaseSelector) -> None:
        """Take what the client sent; react to its request, and close when it has closed or reset the connection."""
        try:
            ended = not self.handle.recv(REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if not ended and not self.asked and self.port.number not in SERVER_FIRST:
            self.asked = True
            selector.unregister(self.handle)
            self.react()
            if self.handle.fileno() >= 0:
                selector.register(self.handle, selectors.EVENT_READ, self)
        elif ended:
            selector.unregister(self.handle)
            self.handle.close()

    def react(self) -> None:
        """Do what the port does once it was asked, or at once."""
        with suppress(OSError):  # the client may have reset the connection
            self._react()

    def _react(self) -> None:
        behaviour, number = self.port.behaviour, self.port.number
        if behaviour in (Behaviour.RESETS, Behaviour.RESETS_LATER):
            self.handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.handle.close()
        elif behaviour in (Behaviour.CLOSES, Behaviour.CLOSES_LATER):
            self.handle.close()
        elif behaviour is Behaviour.OTHER:
            self.handle.send(text_of(number, Voice.OTHER))
        elif behaviour is Behaviour.SPLIT:
            self.handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each in a segment of its own
            self.handle.send(text_of(number, Voice.HEAD))
            self.handle.send(text_of(number, Voice.REST))
        elif behaviour is Behaviour.ENDLESS:
            self.handle.send(text_of(number, Voice.RIGHT))
            self.handle.send(text_of(number, Voice.FLOOD) * FLOOD_SEGMENTS)
        elif behaviour is Behaviour.SPEAKS:
            self.handle.send(text_of(number, Voice.RIGHT))
