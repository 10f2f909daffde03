"""A LAN: a bridge with hosts on it, each in a network namespace of its own with a MAC address of its own."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from liveness.system.namespace import Namespace, spawn_namespace

SCANNER = "10.0.1.2"
PATIENCE_S = 20.0


def ip(*words: str) -> None:
    """Change interfaces, addresses and routes of this namespace."""
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)


def mac_of(number: int) -> bytes:
    """Return the MAC address of a host by its number."""
    return bytes.fromhex(f"02000000{number:04x}")


@contextmanager
def lan(hosts: Sequence[str], scanner: str = SCANNER) -> Iterator[list[Namespace]]:
    """Yield the hosts of a /24 with these addresses, in order; this namespace is on the same link by `s0`."""
    with ExitStack() as stack:
        switch = stack.enter_context(spawn_namespace())
        ip("link", "add", "s0", "type", "veth", "peer", "name", "p0", "netns", str(switch.pid))

        def build(names: Sequence[str]) -> None:
            ip("link", "add", "br0", "type", "bridge")
            for name in names:
                ip("link", "set", name, "master", "br0", "up")
            ip("link", "set", "br0", "up")

        made = []
        for number, address in enumerate(hosts, 1):
            host = stack.enter_context(spawn_namespace())
            ip("link", "add", f"h{number}", "type", "veth", "peer", "name", f"p{number}", "netns", str(switch.pid))
            ip("link", "set", f"h{number}", "address", mac_of(number).hex(":"), "netns", str(host.pid))
            host.run(lambda name=f"h{number}", address=address: _bring_up(name, address))  # type: ignore[misc]
            made.append(host)
        switch.run(lambda: build([f"p{number}" for number in range(len(hosts) + 1)]))
        _bring_up("s0", scanner)
        switch.run(lambda: _await_forwarding(len(hosts) + 1))
        yield made


def _await_forwarding(ports: int) -> None:
    """Wait until the bridge forwards: the kernel tells it of carriers up to a second late."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        command = ["ip", "-j", "-d", "link", "show", "master", "br0"]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        states = [port["linkinfo"]["info_slave_data"]["state"] for port in found]
        if states == ["forwarding"] * ports:
            return
        time.sleep(0.02)
    raise AssertionError("the bridge does not forward")


def _bring_up(name: str, address: str) -> None:
    ip("addr", "add", f"{address}/24", "dev", name)
    ip("link", "set", name, "up")
