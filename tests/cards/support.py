"""Two network cards of one driver, joined by a cable: `card` here (10.9.0.1/24), `far` in a namespace (10.9.0.2)."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyroute2 import IPRoute

from liveness.net.links import find_link
from liveness.system.namespace import Namespace, spawn_namespace
from tests.census.rig import ip
from tests.net.test_rings import inside

MACS: Final = tuple(filter(None, os.environ.get("TEST_CARDS", "").split(",")))
"""MAC addresses of the two cards; empty on a machine without them."""
DRIVER: Final = os.environ.get("TEST_CARDS_DRIVER", "")
CARD, FAR = "card", "far"
HERE, THERE = "10.9.0.1", "10.9.0.2"
TARGETS: Final = "9.9.0.0/20"
"""Addresses for which the kernel at the far end answers."""
PORT: Final = 7007
PATIENCE_S: Final = 60.0
POLL_S: Final = 0.02


def names() -> dict[str, str]:
    """Return the names of the interfaces of this namespace by their MAC address."""
    with IPRoute() as netlink:
        return {link.get_attr("IFLA_ADDRESS"): link.get_attr("IFLA_IFNAME") for link in netlink.get_links()}


def await_cards() -> None:
    """Wait until both cards are in this namespace: they come back some time after another one has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not set(MACS) <= names().keys():
        assert time.monotonic() < deadline, f"the cards are not here: {names()}"
        time.sleep(POLL_S)


def set_up(mac: str, name: str, address: str | None = None) -> None:
    """Name a card, give it an address, set it up, and wait for its carrier."""
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=names()[mac])[0]
        netlink.link("set", index=index, state="down")
        netlink.link("set", index=index, ifname=name)
        netlink.flush_addr(index=index)
        if address is not None:
            netlink.addr("add", index=index, address=address, prefixlen=24)
        netlink.link("set", index=index, state="up")
    ip("link", "set", name, "promisc", "on")  # frames of tests are addressed to MAC addresses that no card has
    await_carrier(name)


def await_carrier(name: str) -> None:
    """Wait until an interface has a carrier."""
    deadline = time.monotonic() + PATIENCE_S
    while not find_link(name).carrier:
        assert time.monotonic() < deadline, f"{name} has no carrier"
        time.sleep(POLL_S)


def move_to(mac: str, **where: Any) -> None:  # noqa: ANN401 - pyroute2's own
    """Move a card into another namespace (net_ns_pid, net_ns_fd)."""
    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname=names()[mac])[0], **where)


@contextmanager
def joined_cards() -> Iterator[Namespace]:
    """Set both cards up, the second one in a namespace whose kernel answers for TARGETS; then bring it back."""
    await_cards()
    with spawn_namespace() as namespace:
        move_to(MACS[1], net_ns_pid=namespace.pid)

        def other_end() -> None:
            set_up(MACS[1], FAR, THERE)
            ip("route", "add", "local", TARGETS, "dev", "lo")

        namespace.run(other_end)
        set_up(MACS[0], CARD, HERE)
        ip("route", "replace", "default", "via", THERE)
        home = os.getpid()
        try:
            yield namespace
        finally:
            namespace.run(lambda: move_to(MACS[1], net_ns_pid=home))


def exchange(far: Namespace, count: int) -> None:
    """Send datagrams one by one from the far end to this host and back, by the kernels of both."""
    with inside(far):
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with there, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        there.bind((THERE, PORT))
        here.bind((HERE, PORT))
        for end in (there, here):
            end.settimeout(PATIENCE_S)
        for number in range(count):
            content = number.to_bytes(4, "big")
            there.sendto(content, (HERE, PORT))
            assert here.recv(64) == content
            here.sendto(content, (THERE, PORT))
            assert there.recv(64) == content
