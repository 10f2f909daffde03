"""``scripts/bench live``: how fast live frames leave over veth, next to AF_XDP and a peer, and what is counted."""

import ctypes
import os
import resource
import struct
import time
from pathlib import Path
from typing import Any, Final

import click

from liveness.errors import UnsupportedError
from liveness.net.links import find_link
from liveness.net.live.pump import RUNS, run_on_live_frames
from liveness.net.live.sending import REDIRECT_MAP, XDP_DROP
from liveness.net.sockets import interface_index
from liveness.net.tx_live import LiveTxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.scan.process import Child
from liveness.scan.send import sender
from liveness.scan.shared import Shared
from liveness.system import ebpf
from liveness.system.child import run_in_child
from scripts.benchmarks import contestants
from scripts.benchmarks.contest import Contestant, rounds_of
from scripts.benchmarks.far_clock import attach
from scripts.benchmarks.network import GATEWAY, arrived, in_private_network, link_of, make_veth, two_cores
from scripts.benchmarks.output import as_json_option, print_facts, print_json, print_table
from scripts.benchmarks.plans import BEYOND_REACH, kit_for, one_block, plan_over
from scripts.benchmarks.tx import fastest_zmap, ratios

SETTLE_S: Final = 10.0
"""Time in which the last frames of a run have arrived at the latest."""


@click.command("live")
@click.option("--zmap", type=click.Path(exists=True), help="A zmap to run in the same rounds.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often each is run.")
@click.option("--seconds", default=2.0, show_default=True, type=click.FloatRange(0, min_open=True), help="How long.")
@click.option(
    "--frames",
    default=20_000_000,
    show_default=True,
    type=click.IntRange(1000),
    help="Frames of the run that is counted.",
)
@as_json_option
def command(zmap: str | None, rounds: int, seconds: float, frames: int, as_json: bool) -> None:
    """Frames a second of one sender through live frames: all probes over all of IPv4, over veth. Root only.

    ours is `network.transport: xdp_live`, limit constant live frames, af_xdp our sender through AF_XDP. The far end
    drops live frames by an XDP program, and other frames by its stack: each is what costs the sending core least. A
    last run compares how many frames were sent by the sender's count with those that the far end counted.
    """
    if os.geteuid() != 0:
        raise UnsupportedError("live frames need root on this machine")
    entered: dict[str, Contestant] = {
        "ours": _dropped_at_once(contestants.send_census(LiveTxRing)),
        "limit": _dropped_at_once(send_constant_frames),
        "af_xdp": contestants.send_census(XdpTxRing),
    }
    if zmap:
        for module in contestants.ZMAP_MODULES:
            entered[f"zmap {module}"] = contestants.run_zmap(str(Path(zmap).resolve()), module)
    run_in_child(contestants.warm_up)
    done = rounds_of(entered, make_veth, rounds, seconds)
    counts = [in_private_network(lambda: count_frames(frames, live=True)) for _ in range(rounds)]
    counted = min(counts, key=lambda found: found["cpu_ns"])
    cpu_ns = {
        "ours": counted["cpu_ns"],
        "limit": min(in_private_network(lambda: limit_ns(frames)) for _ in range(rounds)),
        "af_xdp": min(
            in_private_network(lambda: count_frames(frames // 4, live=False))["cpu_ns"] for _ in range(rounds)
        ),
    }
    if as_json:
        veth = ratios(fastest_zmap(done)) | {"cpu_ns": cpu_ns}
        print_json("live", {"veth": veth, "counted": counted, "unaccounted": sum(run["unaccounted"] for run in counts)})
        return
    compared = ratios(done)
    rows = []
    for name, each in done.items():
        rates = sorted(entry.mpps for entry in each)
        ratio = compared.get(f"ratio_{name}", "")
        spread = f"{rates[0]:.2f}", f"{rates[-1]:.2f}"
        rows.append((name, compared[f"{name}_mpps"], *spread, ratio, cpu_ns.get(name, "")))
    headings = ("sender", "median", "least", "most", "ours is times", "CPU ns a frame")
    print_table("Frames sent over veth, millions a second", headings, rows)
    print_facts("Frames of one run", counted)


def _dropped_at_once(contestant: Contestant) -> Contestant:
    """Return a contestant whose frames an XDP program drops at the far end, while it runs."""

    def run(interface: str) -> None:
        drop_at("far")
        contestant(interface)

    return run


def drop_at(interface: str) -> int:
    """Drop what an interface receives until this process ends, and return the descriptor that keeps it so."""
    return attach(interface, ebpf.assemble([ebpf.set_value(ebpf.R0, XDP_DROP), ebpf.end()]))


def send_constant_frames(interface: str) -> None:
    """Send the same frame over and over as a live frame: what the kernel allows, nothing copied or counted."""
    while True:
        run_constant_frames(interface, RUNS)


def run_constant_frames(interface: str, count: int) -> None:
    """Send the same frame `count` times, in one call of the kernel."""
    frame = find_link(interface).mac + bytes.fromhex(GATEWAY.replace(":", "")) + b"\x08\x00\x45" + bytes(45)
    targets = ebpf.create_map(ebpf.DEVMAP, 4)
    ebpf.set_first(targets, struct.pack("=I", interface_index(interface)))
    program = ebpf.assemble(
        [
            ebpf.map_descriptor(ebpf.R1, targets),
            ebpf.set_value(ebpf.R2, 0),
            ebpf.set_value(ebpf.R3, 0),
            ebpf.call(REDIRECT_MAP),
            ebpf.end(),
        ]
    )
    loaded = ebpf.load_program(ebpf.XDP, program)
    run_on_live_frames(loaded, ctypes.create_string_buffer(frame, len(frame)), count)
    os.close(loaded)
    os.close(targets)


def limit_ns(frames: int) -> float:
    """Return the CPU time of a constant live frame in ns, which the far end drops at once."""
    make_veth()
    drop_at("far")
    began_s = time.process_time()
    run_constant_frames("veth", frames)
    return round((time.process_time() - began_s) / frames * 1e9, 1)


def count_frames(frames: int, *, live: bool) -> dict[str, Any]:
    """Send about so many frames, and return what sender and far end counted, and the CPU time of a frame.

    Without `live`, they leave through AF_XDP.
    """
    make_veth()
    if live:
        drop_at("far")
    plan = plan_over(one_block(frames // 18 + 1), **BEYOND_REACH, cooldown="0s")
    constants = kit_for(plan, link_of("veth"))
    open_ring = LiveTxRing if live else XdpTxRing
    ring = open_ring("veth", int(constants.lengths.max()), len(plan.probes) * plan.attempts)
    shared, before, began_s = Shared(plan), arrived("veth"), _children_s()
    child = Child("sender", sender.Sender(plan, constants, ring, shared, 0).run, two_cores()[0])
    while not child.ended():
        time.sleep(0.01)
    if problem := child.problem():
        raise UnsupportedError(problem)
    spent_s = _children_s() - began_s
    ring.close()
    planned, completed, dropped = int(shared.sent.sum()), int(shared.completed.sum()), int(shared.dropped.sum())
    deadline = time.monotonic() + SETTLE_S
    while (received := arrived("veth") - before) < completed and time.monotonic() < deadline:
        time.sleep(0.01)
    return {
        "put_into_the_ring": planned,
        "completed": completed,
        "dropped_by_the_driver": dropped,
        "counted_at_the_far_end": received,
        "unaccounted": abs(planned - completed - dropped) + abs(completed - received),
        "cpu_ns": round(spent_s / planned * 1e9, 1),
    }


def _children_s() -> float:
    """Return the CPU time of all processes that this one or its children have waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
