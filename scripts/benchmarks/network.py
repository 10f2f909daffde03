"""The private networks of the benchmarks: a sink, a veth pair, what they count, and which core does what."""

import ctypes
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from pyroute2 import IPRoute

from liveness.errors import UnsupportedError
from liveness.lab.kernel_settings import CLONE_NEWNS, MS_PRIVATE, MS_REC, QUIET_IPV6, SYSCTLS, set_sysctls
from liveness.net.links import find_link, interface_counters
from liveness.probes.template import LinkAddresses
from liveness.system.child import libc, run_in_child
from liveness.system.namespace import enter_network

R = TypeVar("R")

BACKLOG: Final = Path("/proc/sys/net/core/netdev_max_backlog")
"""Packets that wait for a core at most, where an interface has no queues of its own or its packets are steered."""

GATEWAY: Final = "02:00:00:00:00:02"
ADDRESS: Final = "10.9.0.1"
SOURCE: Final = 0x0A090001
"""ADDRESS as a number: where our frames come from."""


def in_private_network(function: Callable[[], R]) -> R:
    """Run a function in a child, in a private network of its own, and return its result."""

    def inside() -> R:
        _enter()
        return function()

    return run_in_child(inside)


def _enter() -> None:
    """Enter a private network. Root keeps its user namespace: only there may it steer packets to a core."""
    with suppress(ValueError, OSError):  # root may; what other rings of the same user lock counts too
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    enter_network()
    if (SYSCTLS / "ipv6").exists():
        set_sysctls(QUIET_IPV6)


def make_sink() -> str:
    """Make an ifb that nothing redirects to: it counts and drops what it is sent."""
    with IPRoute() as netlink:
        netlink.link("add", ifname="sink", kind="ifb")
    return _up("sink", "sink")


def make_veth() -> str:
    """Make a veth pair whose far end is not GATEWAY: its stack drops what comes at once."""
    with IPRoute() as netlink:
        netlink.link("add", ifname="veth", kind="veth", peer="far")
    return _up("veth", "veth", "far")


def _up(interface: str, *names: str) -> str:
    with IPRoute() as netlink:
        for name in names:
            netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="up")
        netlink.addr("add", index=netlink.link_lookup(ifname=interface)[0], address=ADDRESS, prefixlen=24)
    return interface


def arrived(interface: str) -> int:
    """Return the frames that reached the other side of an interface, by the kernel's count."""
    if interface == "veth":
        return interface_counters("far").rx_packets
    counters = interface_counters(interface)
    return max(counters.rx_packets, counters.rx_dropped)


def link_of(interface: str) -> LinkAddresses:
    """Return the Ethernet addresses of our frames on an interface."""
    return LinkAddresses(find_link(interface).mac, bytes.fromhex(GATEWAY.replace(":", "")))


def two_cores() -> tuple[int, int]:
    """Return the cores of the two busy processes of a benchmark, the same one twice where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def pin(core: int) -> None:
    """Keep this process on one core."""
    os.sched_setaffinity(0, {core})


@contextmanager
def backlog_of(packets: int) -> Iterator[None]:
    """Let so many packets wait for a core of this machine meanwhile; 0 leaves it as it is.

    There is one such number for all networks of a machine. UnsupportedError where this process may not change it.
    """
    if packets == 0:
        yield
        return
    try:
        before = BACKLOG.read_text()
        BACKLOG.write_text(str(packets))
    except OSError as error:
        raise UnsupportedError(f"{BACKLOG}: {error.strerror}: run as root, outside a container") from None
    try:
        yield
    finally:
        BACKLOG.write_text(before)


def steer_receiving(interface: str, core: int | None) -> None:
    """Have the kernel receive on an interface by one core (Documentation/networking/scaling.rst, RPS); None: no more.

    Without it a veth pair receives on the core that sends. UnsupportedError where this process may not.
    """
    mask = 0 if core is None else 1 << core

    def inside() -> None:
        if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
            raise OSError(ctypes.get_errno(), "a mount namespace")
        if libc.mount(b"sysfs", b"/sys", b"sysfs", 0, None) != 0:  # the one there shows another network
            raise OSError(ctypes.get_errno(), "/sys")
        Path(f"/sys/class/net/{interface}/queues/rx-0/rps_cpus").write_text(f"{mask:x}")

    try:
        run_in_child(inside)
    except OSError as error:
        raise UnsupportedError(
            f"cannot steer what {interface} receives to a core: {os.strerror(error.errno or 0)}: run as root"
        ) from None
