"""Tunnels between two network namespaces, of every kind this kernel has: interfaces whose packets begin with IP.

tun is always tested: what one device is given, a process hands to the other, so that the kernel at the far end answers.
"""

import fcntl
import os
import select
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import IPRoute, NetlinkError

from liveness.errors import LivenessError
from liveness.system.child import die_with_parent, fork, run_in_child
from liveness.system.namespace import Namespace, enter_private_network, spawn_namespace
from tests.net.support import cable

TUN = Path("/dev/net/tun")
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x1, 0x1000
HERE, THERE = "10.8.0.1", "10.8.0.2"
OUTER_HERE, OUTER_THERE = "10.9.0.1", "10.9.0.2"
READ_BYTES = 1 << 16


def open_tun(name: str) -> int:
    """Make a tun device and return the descriptor of its other end: what it is given is read there."""
    descriptor = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def set_up(name: str, address: str, peer: str | None = None) -> None:
    """Give an interface of this namespace an address and bring it up."""
    with IPRoute() as netlink:
        index = netlink.link_lookup(ifname=name)[0]
        netlink.addr("add", index=index, address=address, prefixlen=24, **({"broadcast": peer} if peer else {}))
        netlink.link("set", index=index, state="up")


def kinds_here() -> list[str]:
    """Return the kinds of tunnels that this kernel has: tun, and those it lets us make."""

    def made() -> list[str]:
        enter_private_network()
        found = ["tun"]
        for kind in ("ipip", "gre"):
            try:
                with IPRoute() as netlink:
                    netlink.link("add", ifname="try0", **_tunnel(kind, OUTER_HERE, OUTER_THERE))
            except NetlinkError:
                continue
            found.append(kind)
        return found

    try:
        return run_in_child(made)
    except LivenessError:  # no namespaces here: the tests themselves say so
        return ["tun"]


def _tunnel(kind: str, local: str, remote: str) -> dict[str, str]:
    return {"kind": kind, f"{kind}_local": local, f"{kind}_remote": remote}


@contextmanager
def tunnel(kind: str) -> Iterator[Namespace]:
    """Yield a namespace joined to this one by a tunnel: `t0` here (10.8.0.1/24), `t1` there (10.8.0.2)."""
    if kind == "tun":
        with spawn_namespace() as peer, _pump(peer):
            set_up("t0", HERE)
            peer.run(lambda: set_up("t1", THERE))
            yield peer
        return
    with cable() as peer:
        with IPRoute() as netlink:
            netlink.link("add", ifname="t0", **_tunnel(kind, OUTER_HERE, OUTER_THERE))
        set_up("t0", HERE)

        def far() -> None:
            with IPRoute() as netlink:
                netlink.link("add", ifname="t1", **_tunnel(kind, OUTER_THERE, OUTER_HERE))
            set_up("t1", THERE)

        peer.run(far)
        yield peer


@contextmanager
def _pump(peer: Namespace) -> Iterator[None]:
    """Make `t0` here and `t1` there, and carry packets between them."""

    def carry(ready: int) -> None:
        near = open_tun("t0")
        peer.enter()
        far = open_tun("t1")
        os.write(ready, b"1")
        while True:
            for descriptor in select.select([near, far], [], [])[0]:
                packet = os.read(descriptor, READ_BYTES)
                try:
                    os.write(far if descriptor == near else near, packet)
                except OSError:  # the other end is down, as it is at the beginning
                    continue

    with background(carry):
        yield


@contextmanager
def background(work: Callable[[int], None]) -> Iterator[None]:
    """Run `work` in a child until the end of the block; it writes a byte to its descriptor when it is ready."""
    ready, say_ready = os.pipe()
    parent = os.getpid()
    pid = fork()
    if pid == 0:
        try:
            die_with_parent(parent)
            os.close(ready)
            work(say_ready)
        finally:
            os._exit(1)
    os.close(say_ready)
    try:
        if os.read(ready, 1) != b"1":
            raise AssertionError("the child has failed before it was ready")
        yield
    finally:
        os.close(ready)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


KINDS = kinds_here()
"""What tests of interfaces without Ethernet are run on."""
