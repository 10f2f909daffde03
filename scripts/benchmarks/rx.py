"""``scripts/bench rx``: how many mixed replies a second one receiver matches and collects without losing one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import click

from liveness.errors import UnsupportedError
from liveness.net.links import find_link
from liveness.net.receiving import PACKET, XDP
from liveness.net.transport import AUTO, XDP_LIVE
from liveness.probes.template import LinkAddresses
from liveness.scan.receive import receiver
from scripts.benchmarks.generator import batch_for
from scripts.benchmarks.in_memory import ReceiveCosts, measure_receiving
from scripts.benchmarks.network import backlog_of, in_private_network, make_veth, pin, steer_receiving, two_cores
from scripts.benchmarks.output import as_json_option, print_json, print_table
from scripts.benchmarks.plans import everywhere, kit_for, plan_over
from scripts.benchmarks.replies import make_pool
from scripts.benchmarks.trial import Course, Trial

MOST_REPLIES: Final = 1 << 22
"""Distinct replies that are made beforehand, half a gigabyte; a longer run sends them again."""
FASTEST_PPS: Final = 2_000_000
ELSEWHERE: Final = bytes.fromhex("020000000001")
"""Nobody's address: capture comes first, and then the stack has nothing to do with what is for another host."""
BOTH: Final = "both"
SEARCH_STEPS: Final = 6
LOWER: Final = 0.97
"""What a rate is multiplied with that did not hold when it was tried again."""


@click.command("rx")
@click.option(
    "--rate",
    default=0.0,
    type=click.FloatRange(0),
    help="Millions of replies a second; 0 searches the highest that holds.",
)
@click.option(
    "--rounds", default=3, show_default=True, type=click.IntRange(1), help="How often the rate found must hold."
)
@click.option(
    "--seconds", default=2.0, show_default=True, type=click.FloatRange(0, min_open=True), help="How long each run is."
)
@click.option("--ring-mib", default=64, show_default=True, type=click.IntRange(1), help="Size of the receive ring.")
@click.option(
    "--steer",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
    help="Whether the kernel receives on the receiver's core (RPS) or on the sender's; auto takes the better.",
)
@click.option(
    "--backlog",
    default=0,
    type=click.IntRange(0),
    help="Set net.core.netdev_max_backlog to so many packets meanwhile, for the whole machine (root).",
)
@click.option(
    "--capture",
    type=click.Choice([BOTH, PACKET, XDP]),
    default=PACKET,
    show_default=True,
    help="How replies are captured; xdp needs root.",
)
@click.option(
    "--generator",
    type=click.Choice([AUTO, XDP_LIVE]),
    default=AUTO,
    show_default=True,
    help="How replies are sent; xdp_live repeats some ten thousand of them (root).",
)
@click.option("--stack", is_flag=True, help="Let the kernel's own stack have the replies too, and answer some of them.")
@as_json_option
def command(
    rate: float,
    rounds: int,
    seconds: float,
    ring_mib: int,
    steer: str,
    backlog: int,
    capture: str,
    generator: str,
    stack: bool,
    as_json: bool,
) -> None:
    """Match and collect as many replies a second with one receiver on one core as a sender on the other can send.

    Echo replies, SYN-ACKs, RSTs, DNS and NTP answers and unreachables of distinct targets, with one in a hundred that
    must be rejected. A rate holds if nothing is lost, every reply is judged rightly, and the receiver is not behind.
    The kernel's own stack drops replies at once, as where a filter at the interface keeps them from it.
    """
    with backlog_of(backlog):
        document = in_private_network(
            lambda: measure(
                Asked(rate * 1e6, rounds, seconds, ring_mib, steer, backlog, capture, generator, stack=stack)
            )
        )
    if as_json:
        print_json("rx", document)
        return
    headings = (
        "captured by",
        "received on",
        "offered Mpps",
        "matched Mpps",
        "drops",
        "rejected",
        "behind s",
        "ns: sender",
        "receiver",
        "adds up",
    )
    rows = [
        (
            row["capture"],
            "the receiver's core" if row["steered"] else "the sender's core",
            *(
                row[key]
                for key in ("offered_mpps", "matched_mpps", "drops", "rejected", "behind_s", "sender_ns", "receiver_ns")
            ),
            "yes" if row["adds_up"] else "no",
        )
        for row in document["all_rounds"]
    ]
    print_table("Mixed replies received", headings, rows)
    click.echo(
        f"in memory: {document['match_ns']} ns to match a packet, {document['collect_ns']} ns to collect a reply"
    )
    if document["reason"]:
        click.echo(document["reason"])


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of the command ask for."""

    rate_pps: float
    rounds: int
    seconds: float
    ring_mib: int
    steer: str
    backlog: int
    capture: str
    generator: str
    stack: bool


def measure(asked: Asked) -> dict[str, Any]:
    """Measure in this private network and return the document: the rounds of the better way to capture and to steer."""
    sending, receiving = two_cores()
    make_veth()
    pin(sending)
    plan = plan_over(everywhere())
    own = find_link("veth").mac if asked.stack else ELSEWHERE
    constants = kit_for(plan, LinkAddresses(own, find_link("far").mac))
    pool = make_pool(plan, constants, min(MOST_REPLIES, int(asked.seconds * (asked.rate_pps or FASTEST_PPS)) + 1))
    receiver.warm_up(plan, constants)
    costs = measure_receiving(plan, constants, pool)
    course = Course(
        plan, constants, pool, asked.ring_mib, asked.seconds, receiving, batch_for(asked.backlog), asked.generator
    )
    found: dict[str, list[list[Trial]]] = {
        name: [] for name in ([PACKET, XDP] if asked.capture == BOTH else [asked.capture])
    }
    reasons: list[str] = []
    for steered in ways_to_steer(asked.steer, receiving, reasons):
        for name, tried in found.items():
            run = partial(course.run, steered=steered, capture=name)
            tried.append(
                [run(asked.rate_pps) for _ in range(asked.rounds)] if asked.rate_pps else find_rate(run, asked.rounds)
            )
    best = {name: max(each, key=_merit) for name, each in found.items()}
    whole = document(max(best.values(), key=_merit), costs, len(pool.lengths), reasons)
    whole["all_rounds"] = [trial.document() for each in found.values() for trials in each for trial in trials]
    if len(best) > 1:
        whole["ratio_xdp"] = round(_slowest(best[XDP]) / _slowest(best[PACKET]), 3)
    return whole


def _merit(trials: list[Trial]) -> tuple[bool, float]:
    return all(trial.holds for trial in trials), _slowest(trials)


def _slowest(trials: list[Trial]) -> float:
    return min(trial.matched_mpps for trial in trials)


def ways_to_steer(steer: str, core: int, reasons: list[str]) -> Iterator[bool]:
    """Steer in each wanted way in turn and yield whether it is to the receiver's core; note why it cannot be."""
    if steer != "on":
        yield False
    if steer == "off":
        return
    try:
        steer_receiving("veth", core)
    except UnsupportedError as error:
        if steer == "on":
            raise
        reasons.append(str(error))
        return
    yield True


def find_rate(run: Callable[[float], Trial], rounds: int) -> list[Trial]:
    """Search the highest rate that holds and return its rounds; if none does, those of the last that was tried."""
    unpaced = run(0)
    fastest = unpaced.offered / unpaced.seconds
    if unpaced.holds:
        low = fastest
    else:
        low, high = 0.0, fastest
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            if run(middle).holds:
                low = middle
            else:
                high = middle
    rate_pps = low or fastest / 2**SEARCH_STEPS
    while True:
        trials = [run(rate_pps)]
        while len(trials) < rounds and trials[-1].holds:
            trials.append(run(rate_pps))
        if trials[-1].holds or rate_pps < fastest / 2**SEARCH_STEPS:
            return trials
        rate_pps *= LOWER


def document(trials: list[Trial], costs: ReceiveCosts, distinct: int, reasons: list[str]) -> dict[str, Any]:
    """Return the slowest round as JSON has it, with all of them, and what the parts cost in memory."""
    slowest = min(trials, key=lambda trial: (trial.holds, trial.matched_mpps))
    return slowest.document() | {
        "drops": sum(trial.drops for trial in trials),
        "adds_up": all(trial.adds_up for trial in trials),
        "distinct": distinct,
        "match_ns": round(min(costs.match_ns), 1),
        "collect_ns": round(min(costs.collect_ns), 1),
        "rounds": [trial.document() for trial in trials],
        "reason": "; ".join(reasons) or None,
    }
