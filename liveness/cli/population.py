"""Commands on a population that send no packets: `liveness lab predict`, `lab sample`, and part of `lab describe`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness.cli.options import AS_JSON

if TYPE_CHECKING:
    from liveness.lab.model.population.load import Population

DESCRIBED_PREFIXES = 1 << 16
SAMPLED_PREFIXES = 4096

POPULATION = click.option(
    "--population",
    "source",
    default="paper",
    show_default=True,
    metavar="FILE",
    help="Population file: a path, or the name of a packaged one.",
)


def describe_population(population: "Population", *, as_json: bool) -> None:
    """Print the fit of a population to published values."""
    from liveness.cli.printing import print_document, print_tables
    from liveness.lab.documents import fit_document
    from liveness.lab.model.population.fit import fit_of
    from liveness.report.views.lab import fit_table

    fit = fit_of(population, DESCRIBED_PREFIXES)
    if as_json:
        print_document(fit_document(population, fit))
    else:
        print_tables([fit_table(population, fit)])


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@POPULATION
@click.option("--lab", is_flag=True, help="Judge targets as inside the lab, where private addresses may be probed.")
@AS_JSON
def predict(config: Path, source: str, *, lab: bool, as_json: bool) -> None:
    """Predict what the census of CONFIG would find if the Internet were a population. Sends nothing.

    Prints hit rates, replies per second, sizes of sets and logs, duration, and load on single /24s. Assumes no loss.
    """
    from liveness.cli.printing import print_document, print_tables
    from liveness.config.load import load_config, resolve_targets
    from liveness.lab.documents import prediction_document
    from liveness.lab.model.population.load import load_population
    from liveness.lab.model.population.predict import predict as predict_census
    from liveness.net.links import in_lab
    from liveness.report.views.prediction import basis_text, burden_text, prediction_tables
    from liveness.scan.rate.load import load_of

    loaded = load_config(config)
    targets = resolve_targets(loaded, lab or in_lab(), origin=config)
    prediction = predict_census(loaded, targets, load_of(loaded).wire_bits, load_population(source))
    if as_json:
        print_document(prediction_document(loaded.name, prediction))
        return
    click.echo(basis_text(loaded.name, prediction))
    print_tables(prediction_tables(prediction))
    click.echo(burden_text(prediction, auto=loaded.rate.auto))


@click.command()
@click.option(
    "--prefixes",
    default=SAMPLED_PREFIXES,
    show_default=True,
    type=click.IntRange(1, 1 << 24),
    metavar="N",
    help="How many /24s: 256 addresses each.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, (1 << 63) - 1),
    help="Which ones: the same for the same seed.",
)
def sample(prefixes: int, seed: int) -> None:
    """Print N whole /24s evenly spread over the public address space: targets that represent all of it.

    A census of single random addresses would meet nearly every router that sends errors, but few hosts; in whole /24s
    the shares are those of the whole.
    """
    from liveness.lab.model.population.sample import public_space, sample24
    from liveness.space.addresses import format_address

    for number in sample24(public_space(), prefixes, seed).tolist():
        click.echo(f"{format_address(number << 8)}/24")
