"""The link between a scanner and a model: a veth pair at whose far end only a responder listens."""

from collections.abc import Sequence
from typing import Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from liveness.errors import UnsupportedError
from liveness.lab.hosts.wiring import SCANNER_INTERFACE, SCANNER_PREFIX_LENGTH, scanner_link
from liveness.lab.kernel_settings import (
    FEW_PORTS,
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


def far_interface(number: int) -> str:
    """Return the name of the far end of a scanner's link, by the scanner's number."""
    return f"{FAR_INTERFACE}{number or ''}"


def join_scanners(others: Sequence[Space] = ()) -> Space:
    """Link this namespace, which becomes the first scanner's, and `others` to a new one; enter and return that.

    A scanner's end has an address, a default route and a permanent neighbour entry for the gateway. The far ends have
    no address, so that their kernel sends nothing. Connections of programs next to a scan have other source ports than
    that has by default, so that it neither warns of them nor refuses to talk to services. No link marks the namespace
    as that of a lab: as on the Internet, special-purpose space is no target here. UnsupportedError if the kernel cannot
    make a link.
    """
    scanners = [current_space("the scanner"), *others]
    if (SYSCTLS / "ipv6").exists():
        set_sysctls(QUIET_IPV6)
    far = new_space("the model Internet", forward=False)
    try:
        for number, scanner in enumerate(scanners):
            far.enter()
            _join(number, scanner)
    except NetlinkError as problem:
        reason = " ".join(str(part) for part in problem.args)
        raise UnsupportedError(f"the lab cannot make a veth pair (kernel module veth): {reason}") from problem
    far.enter()
    return far


def _join(number: int, scanner: Space) -> None:
    """Link the namespace of this process to that of a scanner, and enter the latter when the link is up."""
    link, name = scanner_link(number), far_interface(number)
    with IPRoute() as netlink:
        peer = {"ifname": SCANNER_INTERFACE, "net_ns_fd": scanner.fd}
        netlink.link("add", ifname=name, kind="veth", txqlen=LONG_QUEUE, peer=peer)
        finish_checksums(name)
        netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="up")
    scanner.enter()
    set_sysctls(FEW_PORTS)
    finish_checksums(SCANNER_INTERFACE)
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=SCANNER_INTERFACE)[0]
        netlink.addr("add", index=index, address=str(link.far), prefixlen=SCANNER_PREFIX_LENGTH)
        netlink.link("set", index=index, state="up")
        netlink.neigh("add", dst=str(link.near), lladdr=GATEWAY_MAC, ifindex=index, state="permanent")
        netlink.route("add", dst="0.0.0.0/0", gateway=str(link.near))
    await_running(SCANNER_INTERFACE)
