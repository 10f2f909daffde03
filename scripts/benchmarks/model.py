"""``scripts/bench model``: how fast the model Internet answers, and one whole block through engine and model."""

import tempfile
from pathlib import Path
from typing import Any

import click

from liveness.lab.model.population.load import load_population
from liveness.lab.model.responder.conditions import Conditions, parse_conditions
from liveness.lab.source import find_population
from scripts.benchmarks.far_model import measure_far_end
from scripts.benchmarks.model_block import BlockRun
from scripts.benchmarks.network import in_private_network
from scripts.benchmarks.output import as_json_option, print_facts, print_json
from scripts.benchmarks.plans import BLOCK_ADDRESSES


@click.command("model")
@click.option("--block", is_flag=True, help="Scan one /3 of the model in this process, over rings in memory.")
@click.option(
    "--targets",
    type=click.IntRange(256, BLOCK_ADDRESSES),
    default=BLOCK_ADDRESSES,
    show_default=True,
    help="With --block: how many addresses of it.",
)
@click.option("--population", "source", default="paper", show_default=True, help="Population file or name.")
@click.option("--network", is_flag=True, help="With the population's network model; otherwise an ideal network.")
@click.option(
    "--rate",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0),
    help="Millions of probes a second to answer; 0 is all there is.",
)
@click.option(
    "--seconds",
    default=5.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How long to answer them.",
)
@click.option("--output", type=click.Path(file_okay=False), help="Where the sets go for the time being, if not /tmp.")
@as_json_option
def command(
    source: str,
    targets: int,
    rate: float,
    seconds: float,
    output: str | None,
    *,
    block: bool,
    network: bool,
    as_json: bool,
) -> None:
    """Answer probes over a veth pair on one core, at a rate that must hold; or scan a whole block in memory (--block).

    A block goes through sender, model and receiver in this one process, without a kernel and as fast as it can; its
    sets are compared with the truth. Ctrl-C ends it early and tells what there is. Exit code 1 if the rate did not
    hold, or a set is not the truth.
    """
    named = find_population(source)
    conditions = parse_conditions(named.network, source) if network and named is not None else Conditions()
    if block:
        with tempfile.TemporaryDirectory(dir=output) as folder:
            run = BlockRun(load_population(source), conditions, targets, Path(folder), quiet=as_json)
            document = run.run()
        title = f"A block of {targets:,} addresses, in memory"
    else:
        document = in_private_network(lambda: measure_far_end(source, conditions, rate * 1e6, seconds))
        title = "Probes answered over veth by one core"
    _print(title, document, as_json=as_json)
    if document["problems"]:
        raise SystemExit(1)


def _print(title: str, document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json("model", document)
    else:
        print_facts(title, document)
    for problem in document["problems"]:
        click.echo(problem, err=True)
