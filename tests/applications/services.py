"""Services behind open ports, by the kernel's own TCP: one behaviour for each address, on all five ports.

Run as a program inside a namespace whose interface v1 has the addresses: prints a line when everything listens.
"""

import selectors
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

SSH_BANNER = b"SSH-2.0-OpenSSH_9.6\r\n"
TELNET_OPTIONS = b"\xff\xfd\x18\xff\xfd\x20"
HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HTTP_DIGEST = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=acs\r\n\r\n"
SERVER_HELLO = b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00"

RIGHT = {22: SSH_BANNER, 23: TELNET_OPTIONS, 80: HTTP_OK, 443: SERVER_HELLO, 7547: HTTP_DIGEST}
SPEAKS_FIRST = (22, 23)
BEHAVIOURS = ("right", "wrong", "mute", "fin", "reset", "endless", "split")
"""right: the port's protocol; wrong: another one, at once; mute: accepts and says nothing; fin, reset: closes at once
or after the request; endless: more data than any window holds; split: the first byte alone."""

Speak = Callable[[socket.socket, int], None]


def wrong(port: int) -> bytes:
    """Return data of another protocol than the port's."""
    return HTTP_OK if port in SPEAKS_FIRST else SSH_BANNER


def speak(behaviour: str, connection: socket.socket, port: int) -> None:
    """Do what an address with this behaviour does, once it has been asked or at once."""
    if behaviour == "right":
        connection.send(RIGHT[port])
    elif behaviour == "wrong":
        connection.send(wrong(port))
    elif behaviour == "fin":
        with suppress(BlockingIOError):
            connection.recv(65536)
        connection.close()
    elif behaviour == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    elif behaviour == "endless":
        connection.send(RIGHT[port] + b"x" * 200_000)
    elif behaviour == "split":
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.send(RIGHT[port][:1])
        connection.send(RIGHT[port][1:])


def serve(addresses: dict[str, str]) -> None:
    """Serve until the process ends."""
    kept = []
    with selectors.DefaultSelector() as selector:
        for address, behaviour in addresses.items():
            for port in RIGHT:
                listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((address, port))
                listener.listen(1024)
                listener.setblocking(False)
                selector.register(listener, selectors.EVENT_READ, ("listen", behaviour, port))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for key, _ in selector.select():
                what, behaviour, port = key.data
                handle = key.fileobj
                assert isinstance(handle, socket.socket)
                if what == "listen":
                    connection, _ = handle.accept()
                    connection.setblocking(False)
                    kept.append(connection)
                    if port in SPEAKS_FIRST or behaviour == "mute":
                        _react(selector, behaviour, connection, port)
                    else:
                        selector.register(connection, selectors.EVENT_READ, ("asked", behaviour, port))
                else:
                    selector.unregister(handle)
                    _react(selector, behaviour, handle, port)


def _react(_selector: selectors.BaseSelector, behaviour: str, connection: socket.socket, port: int) -> None:
    with suppress(OSError):  # the scanner may have reset the connection already
        speak(behaviour, connection, port)


if __name__ == "__main__":
    serve(dict(argument.split("=") for argument in sys.argv[1:]))
