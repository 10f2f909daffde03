"""Owns the way to the targets: which interface, source address and gateway the kernel's routes give."""

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

from pyroute2 import IPRoute, NetlinkError

from liveness.errors import UsageError
from liveness.net.links import Link, find_link, link_of_index, usable
from liveness.net.neighbours import find_mac

AUTO = "auto"

RTN_LOCAL = 2
RTM_F_FIB_MATCH = 0x2000
MAC_TEXT = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


@dataclass(frozen=True, slots=True)
class Path:
    """Where frames to the targets go out and whom they are handed to. Addresses are host-order numbers."""

    interface: str
    ifindex: int
    mtu: int
    mac: bytes
    source: int
    gateway: int | None
    """None where gateway_mac was given and the route has no gateway."""
    gateway_mac: bytes


@dataclass(frozen=True, slots=True)
class _Route:
    index: int
    source: int | None
    gateway: int | None
    local: bool


def find_path(interface: str, targets_probe: int, source: int | None, gateway_mac: str) -> Path:
    """Return the path to the targets, of which `targets_probe` is one (host order).

    `interface` is a name, or 'auto' for that of the route; `source` None is the route's preferred address;
    `gateway_mac` is a MAC address, or 'auto' for the one of the route's gateway, which is asked for by ARP where the
    kernel does not know it: that takes up to 3 s. UsageError for an interface, route or source that cannot serve,
    LivenessError if the gateway does not answer.
    """
    target = str(IPv4Address(targets_probe))
    given = parse_mac(gateway_mac) if gateway_mac != AUTO else None
    if interface == AUTO:
        route = _lookup(target)
    else:
        link = usable(find_link(interface))
        if given is None:
            _lookup(target, oif=link.index, flags=RTM_F_FIB_MATCH)  # without the flag oif alone is taken for a route
        route = _lookup(target, oif=link.index)
    if route.local:
        raise UsageError(f"target {target} is an address of this machine: targets must lie behind a router")
    link = usable(link_of_index(route.index))
    chosen = route.source if source is None else source
    if chosen is None:
        raise UsageError(f"interface {link.name} has no IPv4 address: set network.source_addresses")
    if given is None:
        if route.gateway is None:
            raise UsageError(
                f"target {target} is on the link of {link.name}: targets on the scanner's own link need a router; "
                "set network.gateway_mac to that router's MAC address"
            )
        given = find_mac(link, route.gateway, chosen if route.source is None else route.source)
    return _path(link, chosen, route.gateway, given)


def parse_mac(text: str) -> bytes:
    """Return the 6 bytes of a MAC address like 02:00:00:00:00:01; UsageError if it is none."""
    if not MAC_TEXT.fullmatch(text):
        raise UsageError(f"network.gateway_mac: {text!r} is not a MAC address like 02:00:00:00:00:01")
    return bytes.fromhex(text.replace(":", ""))


def _path(link: Link, source: int, gateway: int | None, gateway_mac: bytes) -> Path:
    return Path(
        interface=link.name,
        ifindex=link.index,
        mtu=link.mtu,
        mac=link.mac,
        source=source,
        gateway=gateway,
        gateway_mac=gateway_mac,
    )


def _lookup(target: str, **options: int) -> _Route:
    """Ask the kernel for its route to `target` (RTM_GETROUTE); UsageError if it has none."""
    try:
        with IPRoute() as netlink:
            message = next(iter(netlink.route("get", family=socket.AF_INET, dst=target, **options)))
    except NetlinkError as error:
        raise UsageError(
            f"no route to {target}: {error.args[1]}: add one (ip route add default via GATEWAY), or set "
            "network.interface and network.gateway_mac"
        ) from error
    return _Route(
        index=message.get_attr("RTA_OIF"),
        source=_number(message.get_attr("RTA_PREFSRC")),
        gateway=_number(message.get_attr("RTA_GATEWAY")),
        local=message["type"] == RTN_LOCAL,
    )


def _number(address: str | None) -> int | None:
    return None if address is None else int(IPv4Address(address))
