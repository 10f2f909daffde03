"""``scripts/bench tx``: how fast frames leave, ours and a peer's, alternating in one run; what filling one costs."""

import statistics
from functools import partial
from pathlib import Path
from typing import Any

import click

from liveness.net.tx_packet import PacketTxRing
from liveness.net.tx_xdp import XdpTxRing
from liveness.system.child import run_in_child
from scripts.benchmarks import contestants
from scripts.benchmarks.contest import Contestant, Performance, rounds_of
from scripts.benchmarks.in_memory import INTERVALS, measure_filling
from scripts.benchmarks.network import make_sink, make_veth
from scripts.benchmarks.older_kernel import OlderKernel
from scripts.benchmarks.output import as_json_option, print_json, print_table

Rounds = dict[str, list[Performance]]


@click.command("tx")
@click.option("--zmap", type=click.Path(exists=True), help="A zmap to run in the same rounds.")
@click.option("--masscan", type=click.Path(exists=True), help="A masscan to run in the same rounds.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often each is run.")
@click.option(
    "--seconds",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How long each run is measured.",
)
@as_json_option
def command(zmap: str | None, masscan: str | None, rounds: int, seconds: float, as_json: bool) -> None:
    """Frames a second of one sender: all probes over all of IPv4, into a sink and over veth.

    ours is AF_XDP, budget_32 the same where the kernel sends 32 frames a call, af_packet our sender through
    PACKET_TX_RING, limit AF_XDP with constant frames. ZMap is run with each of three probe modules, of which the
    fastest counts.
    """
    entered: dict[str, Contestant] = {
        "ours": contestants.send_census(XdpTxRing),
        "limit": contestants.send_constant_frames,
        "budget_32": contestants.send_census(partial(XdpTxRing, kernel=OlderKernel())),
        "af_packet": contestants.send_census(PacketTxRing),
    }
    if zmap:
        for module in contestants.ZMAP_MODULES:
            entered[f"zmap {module}"] = contestants.run_zmap(str(Path(zmap).resolve()), module)
    if masscan:
        entered["masscan"] = contestants.run_masscan(str(Path(masscan).resolve()))
    run_in_child(contestants.warm_up)  # a contestant that had to compile would be told with a compiler's memory
    fill_ns = min(run_in_child(measure_filling))
    done = {
        "sink": rounds_of(entered, make_sink, rounds, seconds),
        "veth": rounds_of(entered, make_veth, rounds, seconds),
    }
    if as_json:
        places = {place: ratios(fastest_zmap(found)) for place, found in done.items()}
        print_json("tx", places | {"fill_ns": round(fill_ns, 1)})
        return
    rows = []
    for place, found in done.items():
        compared = ratios(found)
        for name, each in found.items():
            rates = [entry.mpps for entry in each]
            spread = f"{statistics.median(rates):.2f}", f"{min(rates):.2f}", f"{max(rates):.2f}"
            ratio = compared.get(f"ratio_{name}")
            peak = f"{max(entry.peak_mib for entry in each):.0f}"
            rows.append((place, name, *spread, "" if ratio is None else f"{ratio:.2f}", peak))
    headings = ("into", "sender", "median", "least", "most", "ours is times", "memory MiB")
    print_table("Frames sent, millions a second", headings, rows, words=2)
    click.echo(f"filling a frame, its target out of {INTERVALS:,} intervals: {fill_ns:.1f} ns")


def fastest_zmap(done: Rounds) -> Rounds:
    """Return the rounds with only ZMap's fastest module, under the name zmap."""
    modules = [name for name in done if name.startswith("zmap ")]
    kept = {name: each for name, each in done.items() if name not in modules}
    if modules:
        fastest = max(modules, key=lambda name: statistics.median(entry.mpps for entry in done[name]))
        kept["zmap"] = done[fastest]
    return kept


def ratios(done: Rounds) -> dict[str, Any]:
    """Return the median of each contestant, and our ratios to the others, as medians of the rounds' ratios."""
    rates = {name: [entry.mpps for entry in each] for name, each in done.items()}
    result: dict[str, Any] = {f"{name}_mpps": round(statistics.median(found), 3) for name, found in rates.items()}
    for name, found in rates.items():
        if name != "ours" and min(found) > 0:
            each = [ours / other for ours, other in zip(rates["ours"], found, strict=True)]
            result[f"ratio_{name}"] = round(statistics.median(each), 2)
    result["ours_peak_mib"] = round(max(done_round.peak_mib for done_round in done["ours"]), 1)
    result["spread"] = {name: [round(min(found), 3), round(max(found), 3)] for name, found in rates.items()}
    return result
