"""The link between a scanner and a model: a veth pair at whose far end only a responder listens."""

from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from liveness.errors import UnsupportedError
from liveness.lab.hosts.wiring import CORE, SCANNER, SCANNER_INTERFACE, SCANNER_PREFIX_LENGTH
from liveness.lab.kernel_settings import (
    QUIET_IPV6,
    SYSCTLS,
    Space,
    await_running,
    finish_checksums,
    new_space,
    set_sysctls,
)
from liveness.lab.kernel_settings import this_space as current_space

FAR_INTERFACE: Final = "scanner"
GATEWAY_MAC: Final = "02:00:5e:00:53:01"
"""The destination of the scanner's frames. No interface has it, so that the far kernel drops them after capture."""
LONG_QUEUE: Final = 10_000


def join_scanner() -> Space:
    """Link this namespace, which becomes the scanner's, to a new one for the model; enter the new one and return it.

    The scanner's end has an address, a default route and a permanent neighbour entry for the gateway. The far end has
    no address, so that its kernel sends nothing. No link marks the namespace as that of a lab: as on the Internet,
    special-purpose space is no target here. UnsupportedError if the kernel cannot make the link.
    """
    scanner = current_space("the scanner")
    if (SYSCTLS / "ipv6").exists():
        set_sysctls(QUIET_IPV6)
    far = new_space("the model Internet", forward=False)
    try:
        with IPRoute() as netlink:
            peer = {"ifname": SCANNER_INTERFACE, "net_ns_fd": scanner.fd}
            netlink.link("add", ifname=FAR_INTERFACE, kind="veth", txqlen=LONG_QUEUE, peer=peer)
            finish_checksums(FAR_INTERFACE)
            netlink.link("set", index=netlink.link_lookup(ifname=FAR_INTERFACE)[0], state="up")
        scanner.enter()
        finish_checksums(SCANNER_INTERFACE)
        with IPRoute() as netlink:
            index = netlink.link_lookup(ifname=SCANNER_INTERFACE)[0]
            netlink.addr("add", index=index, address=str(SCANNER), prefixlen=SCANNER_PREFIX_LENGTH)
            netlink.link("set", index=index, state="up")
            netlink.neigh("add", dst=str(CORE), lladdr=GATEWAY_MAC, ifindex=index, state="permanent")
            netlink.route("add", dst="0.0.0.0/0", gateway=str(CORE))
    except NetlinkError as problem:
        reason = " ".join(str(part) for part in problem.args)
        raise UnsupportedError(f"the lab cannot make a veth pair (kernel module veth): {reason}") from problem
    await_running(SCANNER_INTERFACE)
    far.enter()
    return far
