"""`liveness` with a lab of the model Internet whose link is two cards and the cable between them, instead of veth.

`python -m tests.cards.lab lab exec --internet paper -- COMMAND…`, by root, in the namespace of both cards. The cards
come back to it when the lab has ended.
"""

import os
from typing import Final
from unittest.mock import patch

from pyroute2 import IPRoute

from liveness.lab import shell
from liveness.lab.hosts.wiring import SCANNER_INTERFACE, SCANNER_PREFIX_LENGTH, scanner_link
from liveness.lab.kernel_settings import Space
from liveness.lab.model.responder import network
from liveness.system.child import libc
from liveness.system.namespace import CLONE_NEWNET, bring_loopback_up
from tests.cards.support import MACS, move_to, set_up

HOME: Final = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
"""The namespace in which the cards are."""


def enter_network() -> None:
    """Enter a network namespace, as root of this machine."""
    assert libc.unshare(CLONE_NEWNET) == 0
    bring_loopback_up()


def fetch(mac: str, name: str) -> None:
    """Bring a card into the namespace of this process, and set it up."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert libc.setns(HOME, CLONE_NEWNET) == 0
    move_to(mac, net_ns_fd=here)
    assert libc.setns(here, CLONE_NEWNET) == 0
    os.close(here)
    set_up(mac, name)


def join(number: int, scanner: Space) -> None:
    """Do what `network._join` does, with cards; this process is in the far end's namespace and enters the scanner's."""
    assert number == 0
    fetch(MACS[1], network.FAR_INTERFACE)
    scanner.enter()
    fetch(MACS[0], SCANNER_INTERFACE)
    link = scanner_link(number)
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=SCANNER_INTERFACE)[0]
        netlink.addr("add", index=index, address=str(link.far), prefixlen=SCANNER_PREFIX_LENGTH)
        netlink.neigh("add", dst=str(link.near), lladdr=network.GATEWAY_MAC, ifindex=index, state="permanent")
        netlink.route("add", dst="0.0.0.0/0", gateway=str(link.near))


if __name__ == "__main__":
    from liveness.cli.main import run

    with patch.object(shell, "enter_private_network", enter_network), patch.object(network, "_join", join):
        run()
