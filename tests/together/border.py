"""A campus in a lab of real hosts: clients, services, and a capture at its border, for all instruments at once.

The campus is one /24 of servers and one /24 in which nobody answers. Everything crosses one link, on
which dumpcap listens. The clock of the lab is quick: a second stands for a minute.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final, NoReturn

from pyroute2 import IPRoute

from liveness.lab.hosts.network import Built, build_network
from liveness.lab.kernel_settings import Space
from liveness.lab.load import parse_internet
from liveness.lab.tools import find_tools
from liveness.system.child import die_with_parent, fork

CAMPUS: Final = "10.42.0.0/23"
SERVERS: Final = "10.42.0.0/24"
DARK: Final = "10.42.1.0/24"
SERVER: Final = "10.42.0.10"
SCANNER: Final = "10.255.0.2"
STOPPED_PORT, RUNNING_PORT = 443, 80
LAB: Final = f"""
name: campus
networks:
  - name: campus
    kind: host
    prefixes: [{SERVERS}, {DARK}]
    firewall: [{{to: {DARK}, match: any, do: drop}}]
  - {{name: clients, kind: host, prefixes: [10.50.0.0/16]}}
"""
FIRST_CLIENT: Final = int(IPv4Address("10.50.0.1"))
INTRUDER: Final = "10.50.255.1"
CONNECT_S: Final = 20.0


@dataclass
class Attempt:
    """A connection that a client began, by the clock of this machine."""

    client: str
    port: int
    time_s: float
    succeeded: bool


@dataclass
class Border:
    """The lab while it runs."""

    built: Built
    capture: Path
    attempts: list[Attempt] = field(default_factory=list)
    _children: dict[str, int] = field(default_factory=dict)
    _clients: int = FIRST_CLIENT

    def space(self, name: str) -> Space:
        """Return the namespace of a network."""
        return next(space for host, space in self.built.hosts if host.name == name)

    def start(self, name: str, where: Space, work: Callable[[], NoReturn]) -> None:
        """Fork a process into a namespace."""
        parent = os.getpid()
        pid = fork()
        if pid == 0:
            try:
                die_with_parent(parent)
                where.enter()
                work()
            finally:
                os._exit(1)
        self._children[name] = pid

    def stop(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a process, and wait until it is gone: the kernel refuses its port from then on."""
        pid = self._children.pop(name)
        os.kill(pid, how)
        os.waitpid(pid, 0)

    def serve(self, port: int) -> None:
        """Start a server on a port of every address of the campus, and wait until it listens."""
        reader, writer = os.pipe()
        self.start(f"server {port}", self.space("campus"), lambda: _serve(port, writer))
        os.close(writer)
        assert os.read(reader, 1) == b"!", f"no server on port {port}"
        os.close(reader)

    def connect(self, count: int, ports: tuple[int, ...]) -> None:
        """Have clients, none of which came before, connect to the server: `count` of them to each port."""
        here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.space("clients").enter()
        try:
            for port in ports:
                for _ in range(count):
                    client = str(IPv4Address(self._clients))
                    self._clients += 1
                    self.attempts.append(_attempt(client, port))
        finally:
            Space("the scanner", here).enter()
            os.close(here)

    def intrude(self, count: int) -> None:
        """Have a stranger send a SYN to each of the first addresses of the dark /24, and wait for no reply."""
        here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.space("clients").enter()
        try:
            for number in range(count):
                with socket.socket() as handle:
                    handle.setblocking(False)
                    handle.bind((INTRUDER, 0))
                    handle.connect_ex((str(IPv4Address(int(IPv4Address(DARK.partition("/")[0])) + number)), 23))
        finally:
            Space("the scanner", here).enter()
            os.close(here)

    def close(self) -> None:
        """End all processes; the capture ends in good order."""
        for name in list(self._children):
            self.stop(name, signal.SIGINT if name == "dumpcap" else signal.SIGKILL)


def _attempt(client: str, port: int) -> Attempt:
    with socket.socket() as handle:
        handle.bind((client, 0))
        handle.settimeout(CONNECT_S)
        begun_s = time.time()
        try:
            handle.connect((SERVER, port))
        except ConnectionRefusedError:
            return Attempt(client, port, begun_s, succeeded=False)
        with suppress(ConnectionError):
            handle.sendall(b"hello\n")
            while handle.recv(100):
                pass
        return Attempt(client, port, begun_s, succeeded=True)


def _serve(port: int, ready: int) -> NoReturn:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(4096)
        os.write(ready, b"!")
        os.close(ready)
        while True:
            handle, _ = listener.accept()
            with suppress(OSError), handle:
                handle.settimeout(0.5)  # whoever says nothing, as a scanner does, keeps nobody waiting for long
                handle.sendall(b"welcome\n")


def _link_to(core: Space, address: str) -> str:
    """Return the name of the core's link towards an address."""
    core.enter()
    with IPRoute() as netlink:
        (route,) = netlink.route("get", dst=address)
        (link,) = netlink.get_links(route.get_attr("RTA_OIF"))
        return str(link.get_attr("IFLA_IFNAME"))


@contextmanager
def border(folder: Path) -> Iterator[Border]:
    """Build the lab around this process, which must be in a private network, and capture at the campus' border."""
    built = build_network(parse_internet(LAB, "campus"), find_tools())
    here = Space("the scanner", os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
    capture = folder / "border.pcap"
    made = Border(built, capture)
    interface = _link_to(built.core, SERVER)
    here.enter()

    def listen() -> NoReturn:
        with (folder / "dumpcap").open("wb") as messages:
            os.dup2(messages.fileno(), 2)
        options = ("-i", interface, "-w", str(capture), "-P", "-B", "16", "-s", "256")
        os.execvp("dumpcap", ("dumpcap", *options))  # noqa: S606 - of this machine

    try:
        made.start("dumpcap", built.core, listen)
        deadline = time.monotonic() + CONNECT_S
        while "File: " not in _text(folder / "dumpcap"):
            assert time.monotonic() < deadline, _text(folder / "dumpcap")
            time.sleep(0.05)
        yield made
    finally:
        made.close()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
