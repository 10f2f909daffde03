"""The contestants: our sender over either ring, the kernel's limit, ZMap and masscan."""

import os
from collections.abc import Callable
from typing import Final

import numpy as np

from liveness.net.links import find_link
from liveness.net.ring import TxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.probes.template import LinkAddresses
from liveness.scan.send import sender
from liveness.scan.shared import Shared
from scripts.benchmarks.contest import Contestant
from scripts.benchmarks.network import ADDRESS, GATEWAY, link_of
from scripts.benchmarks.plans import census_plan, kit_for

ZMAP_MODULES: Final = {
    "tcp_synscan": ["-p", "80"],
    "icmp_echoscan": [],
    "udp": ["-p", "53", "--probe-args=text:liveness"],
}
"""ZMap's probe modules that are run, and what each of them needs."""


def send_census(open_ring: Callable[[str, int, int], TxRing]) -> Contestant:
    """Return a contestant: our sender, with all probes."""

    def run(interface: str) -> None:
        plan = census_plan()
        constants = kit_for(plan, link_of(interface))
        sender.warm_up(plan, constants)
        ring = open_ring(interface, int(constants.lengths.max()), len(plan.probes) * plan.attempts)
        sender.Sender(plan, constants, ring, Shared(plan), 0).run()

    return run


def warm_up() -> None:
    """Have the kernels of our sender compiled into their cache."""
    plan = census_plan()
    sender.warm_up(plan, kit_for(plan, LinkAddresses(bytes(6), bytes(6))))


def send_constant_frames(interface: str) -> None:
    """Send the same frames over and over through AF_XDP: what the kernel allows, nothing filled."""
    frame = find_link(interface).mac + bytes.fromhex(GATEWAY.replace(":", "")) + b"\x08\x00\x45" + bytes(51)
    ring = XdpTxRing(interface, len(frame), 18)
    ring.frames[:, : len(frame)] = np.frombuffer(frame, np.uint8)
    lengths = np.full(len(ring.frames), len(frame), np.uint16)
    while True:
        _, count = ring.reserve(len(ring.frames) // 2)
        ring.commit(count, lengths)
        ring.kick()


def run_zmap(path: str, module: str) -> Contestant:
    """Return a contestant: ZMap with one sender thread and one of its probe modules."""

    def run(interface: str) -> None:
        options = ["-M", module, *ZMAP_MODULES[module], "-B", "100G", "-T", "1", "-i", interface, "-S", ADDRESS]
        everywhere = ["-G", GATEWAY, "-q", "-b", "/dev/null", "-o", "/dev/null", "0.0.0.0/0"]
        os.execv(path, [path, *options, *everywhere])  # noqa: S606 - the peer that the user named

    return run


def run_masscan(path: str) -> Contestant:
    """Return a contestant: masscan."""

    def run(interface: str) -> None:
        options = ["0.0.0.0/0", "-p80", "--rate", "100000000", "--exclude", "255.255.255.255", "-e", interface]
        addresses = ["--source-ip", ADDRESS, "--router-mac", GATEWAY.replace(":", "-"), "--wait", "0"]
        os.execv(path, [path, *options, *addresses])  # noqa: S606 - as above

    return run
