"""The far end of a census over veth: a namespace whose kernel answers for some of the addresses and drops the rest."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyroute2 import IPRoute

from liveness.lab.kernel_settings import COMMON_SYSCTLS, QUIET_IPV6, SYSCTLS, check, finish_checksums, set_sysctls
from liveness.net.links import LAB_MARKER, InterfaceCounters, interface_counters
from liveness.space.addresses import format_address
from liveness.system.child import libc
from liveness.system.namespace import CLONE_NEWNET, Namespace, spawn_namespace

NEAR: Final = "scan0"
FAR: Final = "far0"
NEAR_ADDRESS: Final = "192.168.9.1"
FAR_ADDRESS: Final = "192.168.9.2"
NEAR_MAC: Final = "02:00:00:00:00:01"
FAR_MAC: Final = "02:00:00:00:00:02"
TARGETS: Final = 0x0A000000
"""10.0.0.0: where the targets begin; they must not reach 11.0.0.0."""
MOST_TARGETS: Final = 1 << 24
OPEN_PORT: Final = 80
LOCAL_TABLE: Final = 255
LOOPBACK: Final = 1
BACKLOG: Final = 65535
SNMP: Final = Path("/proc/net/snmp")


@dataclass(frozen=True, slots=True)
class Counted:
    """What the kernel has counted at the scanner's end: its interface, and the packets that its own stack sent."""

    interface: InterfaceCounters
    own_packets: int


@contextmanager
def far_end(owned_bits: int) -> Iterator[None]:
    """Join this private network to a namespace that owns the first 2 ** owned_bits targets and drops the others.

    No packet is sent but probes, replies and what either kernel answers: neighbours are fixed, IPv6 is off.
    """
    quiet()
    with spawn_namespace() as peer, IPRoute() as netlink:
        netlink.link("add", ifname=LAB_MARKER, kind="veth", peer="marker")  # private addresses may be probed in labs
        peer_end = {"ifname": FAR, "net_ns_pid": peer.pid, "address": FAR_MAC}
        peer.run(quiet)
        netlink.link("add", ifname=NEAR, kind="veth", address=NEAR_MAC, peer=peer_end)
        address_end(NEAR, NEAR_ADDRESS, FAR_ADDRESS, FAR_MAC)
        netlink.route("add", dst="0.0.0.0/0", gateway=FAR_ADDRESS)
        peer.run(lambda: _build(owned_bits))
        with _listener(peer):
            yield


def quiet() -> None:
    """Set a namespace up before it has links: no limits on ICMP, no neighbour discovery of IPv6."""
    set_sysctls(COMMON_SYSCTLS)
    if (SYSCTLS / "ipv6").exists():
        set_sysctls(QUIET_IPV6)


def address_end(name: str, own: str, other: str, other_mac: str) -> None:
    """Bring an end of the link up, its address and its only neighbour fixed."""
    finish_checksums(name)
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=name)[0]
        netlink.addr("add", index=index, address=own, prefixlen=30)
        netlink.link("set", index=index, state="up")
        netlink.neigh("add", dst=other, lladdr=other_mac, ifindex=index, state="permanent")


def _build(owned_bits: int) -> None:
    """In the far namespace: own the first targets, drop all others without a word."""
    address_end(FAR, FAR_ADDRESS, NEAR_ADDRESS, NEAR_MAC)
    with IPRoute() as netlink:
        owned = f"{format_address(TARGETS)}/{32 - owned_bits}"
        netlink.route("add", dst=owned, type="local", scope="host", table=LOCAL_TABLE, oif=LOOPBACK)
        netlink.route("add", dst="10.0.0.0/8", type="blackhole")


@contextmanager
def _listener(peer: Namespace) -> Iterator[None]:
    """Keep a listener on OPEN_PORT of every address the far end owns; nobody accepts, a SYN-ACK is all there is."""
    with Path("/proc/self/ns/net").open() as here:
        peer.enter()
        listener = socket.create_server(("", OPEN_PORT), backlog=BACKLOG)
        check(libc.setns(here.fileno(), CLONE_NEWNET), "cannot leave the far end")
    with listener:
        yield


def counted() -> Counted:
    """Return what has been counted at the scanner's end so far."""
    names, values = (line.split()[1:] for line in SNMP.read_text().splitlines() if line.startswith("Ip: "))
    own = dict(zip(names, values, strict=True))["OutRequests"]
    return Counted(interface_counters(NEAR), int(own))
