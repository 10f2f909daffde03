"""The benchmark: how fast frames leave, ours and a peer's, alternating in one run, by the interface's counters."""

import json
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
import numpy as np
from pyroute2 import IPRoute
from rich.console import Console
from rich.table import Table

from liveness.config.model import Config, TargetLists, from_document
from liveness.errors import LivenessError
from liveness.net.child import die_with_parent, fork, run_in_child
from liveness.net.links import find_link, interface_counters
from liveness.net.namespace import enter_private_network
from liveness.net.ring import TxRing
from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.probes.template import LinkAddresses
from liveness.scan import sender
from liveness.scan.plan import Plan
from liveness.scan.session import kit_of
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

GATEWAY: Final = "02:00:00:00:00:02"
SOURCE: Final = 0x0A090001
WARM_UP_S: Final = 1.0
BEGUN_FRAMES: Final = 1000
BEYOND_REACH: Final = {"rate": "50Mpps", "probe_spacing": "100us"}  # not paced, and all lanes begin soon

Contestant = Callable[[str], None]
"""Sends on an interface until it is killed."""


def make_sink() -> str:
    """Make an ifb that nothing redirects to: it counts and drops what it is sent."""
    with IPRoute() as netlink:
        netlink.link("add", ifname="sink", kind="ifb")
    return _up("sink", "sink")


def make_veth() -> str:
    """Make a veth pair whose far end has no address: its stack drops what comes."""
    with IPRoute() as netlink:
        netlink.link("add", ifname="veth", kind="veth", peer="far")
    return _up("veth", "veth", "far")


def _up(interface: str, *names: str) -> str:
    with IPRoute() as netlink:
        for name in names:
            netlink.link("set", index=netlink.link_lookup(ifname=name)[0], state="up")
        netlink.addr("add", index=netlink.link_lookup(ifname=interface)[0], address="10.9.0.1", prefixlen=24)
    return interface


def arrived(interface: str) -> int:
    """Return the frames that reached the other side of an interface, by the kernel's count."""
    if interface == "veth":
        return interface_counters("far").rx_packets
    counters = interface_counters(interface)
    return max(counters.rx_packets, counters.rx_dropped)


def census_plan() -> Plan:
    """Return the plan of the paper's probes over all of IPv4 less special-purpose space, not paced."""
    lists = TargetLists(allow=("0.0.0.0/0",))
    config = from_document({"name": "bench", "targets": {"allow": list(lists.allow)}, **BEYOND_REACH})
    assert isinstance(config, Config)  # noqa: S101 - for the type checker
    return Plan(config, Targets.build(Intervals.everything(), Intervals.empty()), 51833, bytes(16))


def send_census(open_ring: Callable[[str, int, int], TxRing]) -> Contestant:
    """Return a contestant: our sender, with all probes."""

    def run(interface: str) -> None:
        plan = census_plan()
        link = LinkAddresses(find_link(interface).mac, bytes.fromhex(GATEWAY.replace(":", "")))
        kit = kit_of(plan, link, (SOURCE,))
        sender.warm_up(plan, kit)
        ring = open_ring(interface, int(kit.lengths.max()), len(plan.probes) * plan.attempts)
        sender.Sender(plan, kit, ring, Shared(plan), 0).run()

    return run


def send_constant_frames(interface: str) -> None:
    """Send the same frames over and over through AF_XDP: what the kernel allows, nothing filled."""
    ring = XdpTxRing(interface, 18)
    frame = find_link(interface).mac + bytes.fromhex(GATEWAY.replace(":", "")) + b"\x08\x00\x45" + bytes(51)
    ring.frames[:, : len(frame)] = np.frombuffer(frame, np.uint8)
    lengths = np.full(len(ring.frames), len(frame), np.uint16)
    while True:
        _, count = ring.reserve(sender.BATCH)
        ring.commit(count, lengths)
        ring.kick()


def run_zmap(path: str) -> Contestant:
    """Return a contestant: ZMap with one sender thread."""

    def run(interface: str) -> None:
        options = ["-p", "80", "-B", "100G", "-T", "1", "-i", interface, "-S", "10.9.0.1", "-G", GATEWAY, "-q"]
        everywhere = ["-b", "/dev/null", "-o", "/dev/null", "0.0.0.0/0"]
        os.execv(path, [path, *options, *everywhere])  # noqa: S606 - the peer that the user named

    return run


def run_masscan(path: str) -> Contestant:
    """Return a contestant: masscan."""

    def run(interface: str) -> None:
        options = ["0.0.0.0/0", "-p80", "--rate", "100000000", "--exclude", "255.255.255.255", "-e", interface]
        addresses = ["--source-ip", "10.9.0.1", "--router-mac", GATEWAY.replace(":", "-"), "--wait", "0"]
        os.execv(path, [path, *options, *addresses])  # noqa: S606 - as above

    return run


def measure(contestant: Contestant, interface: str, seconds: float) -> float:
    """Run a contestant in a child and return millions of frames a second that arrived while it ran warm."""
    parent = os.getpid()
    output = tempfile.TemporaryFile()  # noqa: SIM115 - the child writes into it too
    child = fork()
    if child == 0:
        try:
            die_with_parent(parent)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            contestant(interface)
        except LivenessError as error:
            os.write(2, str(error).encode())
        finally:
            os._exit(1)
    try:
        first = arrived(interface)
        while arrived(interface) - first < BEGUN_FRAMES:
            time.sleep(0.01)
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                output.seek(0)
                said = output.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
                raise LivenessError(f"a contestant ended before it had sent anything: {said[-1]}")
        time.sleep(WARM_UP_S)
        before, started = arrived(interface), time.monotonic()
        time.sleep(seconds)
        return (arrived(interface) - before) / (time.monotonic() - started) / 1e6
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def rounds_of(
    contestants: dict[str, Contestant], make: Callable[[], str], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Return the rates of each contestant, a round after the other, on an interface of its own network."""

    def inside() -> dict[str, list[float]]:
        enter_private_network()
        interface = make()
        rates: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, contestant in contestants.items():
                rates[name].append(measure(contestant, interface, seconds))
        return rates

    return run_in_child(inside)


def _ratios(rates: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each contestant, and our ratios to the others, as medians of the rounds' ratios."""
    result = {f"{name}_mpps": round(statistics.median(found), 3) for name, found in rates.items()}
    for name, found in rates.items():
        if name != "ours" and min(found) > 0:
            ratios = [ours / other for ours, other in zip(rates["ours"], found, strict=True)]
            result[f"ratio_{name}"] = round(statistics.median(ratios), 2)
    return result


@click.group()
def group() -> None:
    """Measure this machine. Ratios within one run count; the machine's speed drifts."""


@group.command()
@click.option("--zmap", type=click.Path(exists=True), help="A zmap to run in the same rounds.")
@click.option("--masscan", type=click.Path(exists=True), help="A masscan to run in the same rounds.")
@click.option("--rounds", default=5, show_default=True, help="How often each is run.")
@click.option("--seconds", default=2.0, show_default=True, help="How long each run is measured.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def tx(zmap: str | None, masscan: str | None, rounds: int, seconds: float, as_json: bool) -> None:
    """Frames a second of one sender: all probes over all of IPv4, into a sink and over veth.

    ours is AF_XDP, af_packet our sender through PACKET_TX_RING, limit AF_XDP with constant frames.
    """
    with suppress(ValueError, OSError):  # root may; what other rings of the same user lock counts too
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    contestants: dict[str, Contestant] = {
        "ours": send_census(lambda interface, _, multiple_of: XdpTxRing(interface, multiple_of)),
        "limit": send_constant_frames,
        "af_packet": send_census(PacketTxRing),
    }
    if zmap:
        contestants["zmap"] = run_zmap(str(Path(zmap).resolve()))
    if masscan:
        contestants["masscan"] = run_masscan(str(Path(masscan).resolve()))
    rates = {
        "sink": rounds_of(contestants, make_sink, rounds, seconds),
        "veth": rounds_of(contestants, make_veth, rounds, seconds),
    }
    if as_json:
        click.echo(json.dumps({"tx": {place: _ratios(found) for place, found in rates.items()}}, indent=2))
        return
    table = Table(title="Frames sent, millions a second", title_justify="left")
    for heading in ("into", "sender", "median", "least", "most", "ours is times"):
        table.add_column(heading, justify="left" if heading in ("into", "sender") else "right")
    for place, found in rates.items():
        ratios = _ratios(found)
        for name, each in found.items():
            ratio = ratios.get(f"ratio_{name}")
            spread = f"{statistics.median(each):.2f}", f"{min(each):.2f}", f"{max(each):.2f}"
            table.add_row(place, name, *spread, "" if ratio is None else f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    try:
        group()
    except LivenessError as error:
        sys.exit(f"scripts/bench: {error}")
