"""``scripts/bench kernels``: what the hot loops cost in memory: filling a frame, matching and collecting a reply."""

import statistics

import click

from liveness.probes.template import LinkAddresses
from liveness.scan.receive import receiver
from liveness.system.child import run_in_child
from scripts.benchmarks.in_memory import MOST, ROUNDS, ReceiveCosts, measure_filling, measure_receiving
from scripts.benchmarks.output import as_json_option, print_json, print_table
from scripts.benchmarks.plans import everywhere, kit_for, plan_over
from scripts.benchmarks.replies import make_pool


@click.command("kernels")
@click.option("--rounds", default=ROUNDS, show_default=True, type=click.IntRange(1), help="How often each is measured.")
@click.option(
    "--replies", default=MOST, show_default=True, type=click.IntRange(1, MOST), help="Replies matched in each round."
)
@as_json_option
def command(rounds: int, replies: int, as_json: bool) -> None:
    """CPU time of the kernels for a frame sent and a reply received, without a ring or an interface.

    The least of the rounds is the cost of the work; the median shows how much other processes disturb it.
    """
    filling = run_in_child(lambda: measure_filling(rounds))
    receiving = run_in_child(lambda: _receiving(rounds, replies))
    both = [sum(pair) for pair in zip(receiving.match_ns, receiving.collect_ns, strict=True)]
    found = {
        "fill": filling,
        "match": receiving.match_ns,
        "collect": receiving.collect_ns,
        "match and collect": both,
    }
    rows = [(name, round(min(costs), 1), round(statistics.median(costs), 1)) for name, costs in found.items()]
    if as_json:
        print_json("kernels", {name: {"least_ns": least, "median_ns": median} for name, least, median in rows})
        return
    print_table("Nanoseconds of CPU time a frame or reply", ("what", "least", "median"), rows)


def _receiving(rounds: int, replies: int) -> ReceiveCosts:
    plan = plan_over(everywhere())
    constants = kit_for(plan, LinkAddresses(bytes(6), bytes(6)))
    receiver.warm_up(plan, constants)
    return measure_receiving(plan, constants, make_pool(plan, constants, replies), rounds)
