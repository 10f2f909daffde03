"""Namespaces with a cable between them, for tests of the kernel's side."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import pytest
from pyroute2 import IPRoute

from liveness.net.links import switch_gro_on
from liveness.system.bpf import ACCEPT, DROP, JUMP_EQUAL, LD_HALF, RETURN, Instruction, Program, assemble
from liveness.system.child import run_in_child
from liveness.system.namespace import Namespace, enter_network, enter_private_network, spawn_namespace

P = ParamSpec("P")

TEST_ETHERTYPE = 0x88B5
"""IEEE 802's local experimental EtherType: no stack answers it."""


def in_private_network(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test in a forked child, inside a private network of its own."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        def inside() -> None:
            enter_private_network()
            test(*args, **kwargs)

        run_in_child(inside)

    return wrapper


def in_network_of_root(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test in a forked child, inside a network of its own, with all privileges of root on this machine."""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        def inside() -> None:
            enter_network()
            test(*args, **kwargs)

        run_in_child(inside)

    return pytest.mark.skipif(os.geteuid() != 0, reason="only root may load BPF programs")(wrapper)


@contextmanager
def cable(mtu: int = 1500, *, gro: bool = False) -> Iterator[Namespace]:
    """Yield a namespace joined to this one by veth: `v0` here (10.9.0.1/24, MAC …:01), `v1` there (10.9.0.2, …:02).

    With `gro`, the other end has GRO, so that `v0` takes frames of XDP programs.
    """
    with spawn_namespace() as peer:
        with IPRoute() as here:
            here.link(
                "add",
                ifname="v0",
                kind="veth",
                address="02:00:00:00:00:01",
                mtu=mtu,
                peer={"ifname": "v1", "net_ns_pid": peer.pid, "address": "02:00:00:00:00:02", "mtu": mtu},
            )
            here.addr("add", index=here.link_lookup(ifname="v0")[0], address="10.9.0.1", prefixlen=24)
            here.link("set", index=here.link_lookup(ifname="v0")[0], state="up")

        def other_end() -> None:
            with IPRoute() as there:
                index = there.link_lookup(ifname="v1")[0]
                there.addr("add", index=index, address="10.9.0.2", prefixlen=24)
                there.link("set", index=index, state="up")
            if gro:
                switch_gro_on("v1")

        peer.run(other_end)
        yield peer


def set_link(name: str, state: str) -> None:
    """Set an interface of this namespace up or down."""
    with IPRoute() as netlink:
        netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state=state)


def ethertype_filter(ethertype: int) -> Program:
    """Return a program that accepts one EtherType."""
    return assemble(
        [
            Instruction(LD_HALF, 12),
            Instruction(JUMP_EQUAL, ethertype, "", "drop"),
            Instruction(RETURN, ACCEPT),
            "drop",
            Instruction(RETURN, DROP),
        ]
    )
