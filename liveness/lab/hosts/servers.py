"""Servers of the lab in Python: twins of UDP probes, ports that send invalid payload, and TCP listeners."""

import resource
import selectors
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from liveness.errors import LivenessError
from liveness.lab.hosts.connections import Connection, Port
from liveness.lab.hosts.document import Daemon, Host, Service
from liveness.lab.twins.registry import TWINS, Twin, file_of

IP_PKTINFO: Final = 8
BUFFER_BYTES: Final = 8 << 20  # the kernel grants up to net.core.rmem_max: this process may have to wait for a core
BACKLOG: Final = 65535
DATAGRAM_BYTES: Final = 4096
BATCH: Final = 64

NONSENSE: Final = b"pardon? these bytes answer nothing, and have neither a QR bit nor a server's mode\n"

Responder = Callable[[bytes], bytes | None]
"""A function from request to reply, None for no reply."""


@dataclass(frozen=True, slots=True)
class Server:
    """A bound socket, and the responder to its datagrams or the port behind its connections."""

    socket: socket.socket
    respond: Responder | Port


def nonsense(_request: bytes) -> bytes:
    """Return bytes that no protocol accepts as a valid answer."""
    return NONSENSE


def silence(_request: bytes) -> None:
    """Accept a request without replying."""


def responder_of(twin: Twin, service: Service) -> Responder:
    """Return the responder for probes of a twin on a host with this service."""
    if service is Service.ANSWER:
        respond: Responder = file_of(twin).respond
        return respond
    return nonsense if service is Service.PAYLOAD else silence


def open_servers(host: Host, daemons: set[Daemon]) -> list[Server]:
    """Bind the sockets of this host that its running `daemons` do not serve, in the current namespace."""
    taken: set[int] = set()  # TCP ports
    served: set[str] = set()
    if daemons & {Daemon.DNSMASQ, Daemon.UNBOUND}:
        served.add("dns")
        taken.add(53)
    if Daemon.CHRONYD in daemons:
        served.add("ntp")
    if Daemon.SSHD in daemons:
        taken.add(22)
    if Daemon.NGINX in daemons:
        taken.update(nginx_ports(host))
    servers = [
        Server(_listener(host, port), Port(port, host.behaviour(port))) for port in host.open_ports if port not in taken
    ]
    for twin in TWINS:
        service = host.service(twin)
        if twin.name not in served and service is not Service.CLOSED:
            servers.append(Server(_receiver(host, twin.port), responder_of(twin, service)))
    return servers


def nginx_ports(host: Host) -> list[int]:
    """Return the ports that nginx serves on a host: those of `listen` but for SSH."""
    return [port for port in host.listen if port != 22]  # noqa: PLR2004 - the port of SSH


def serve(servers: list[Server]) -> None:
    """Serve until the process ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with selectors.DefaultSelector() as selector:
        for server in servers:
            selector.register(server.socket, selectors.EVENT_READ, server.respond)
        while True:
            for key, _ in selector.select():
                handle = key.fileobj
                assert isinstance(handle, socket.socket)  # noqa: S101 - only sockets are registered
                if isinstance(key.data, Connection):
                    key.data.read(selector)
                    continue
                with suppress(BlockingIOError):  # no datagram or connection left
                    for _ in range(BATCH):
                        if isinstance(key.data, Port):
                            key.data.accept(handle, selector)
                        else:
                            _respond(handle, key.data)


def _respond(handle: socket.socket, respond: Responder) -> None:
    """Answer one datagram from the address it was sent to, one of many that the host has (IP_PKTINFO, ip(7))."""
    request, ancillary, _, sender = handle.recvmsg(DATAGRAM_BYTES, socket.CMSG_SPACE(12))
    probed = next(data[8:12] for level, kind, data in ancillary if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO))
    reply = respond(request)
    if reply is not None:
        source = (socket.IPPROTO_IP, IP_PKTINFO, struct.pack("I4s4s", 0, probed, bytes(4)))
        with suppress(OSError):  # the sender may have ended: ICMP errors are reported as errors of the socket
            handle.sendmsg([reply], [source], 0, sender)


def _listener(host: Host, port: int) -> socket.socket:
    handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _bind(handle, host, port, "tcp")
    handle.listen(BACKLOG)
    return handle


def _receiver(host: Host, port: int) -> socket.socket:
    handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    handle.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        handle.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    _bind(handle, host, port, "udp")
    return handle


def _bind(handle: socket.socket, host: Host, port: int, protocol: str) -> None:
    handle.setblocking(False)
    try:
        handle.bind(("0.0.0.0", port))  # noqa: S104 - inside a namespace of the lab: all of the host's prefixes
    except OSError as problem:
        handle.close()
        where = f"{protocol}/{port}: {problem.strerror}"
        raise LivenessError(f"the lab's host {host.name!r} cannot serve {where}") from problem
