"""Commands on a population that send no packets: `liveness lab predict`, `lab sample`, and part of `lab describe`."""

import json
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness.errors import count_of

if TYPE_CHECKING:
    from liveness.lab.model.population.fit import Fit
    from liveness.lab.model.population.load import Population
    from liveness.lab.model.population.predict import Prediction

LARGEST_SETS = 12
DESCRIBED_PREFIXES = 1 << 16
SAMPLED_PREFIXES = 4096

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
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
    from liveness.lab.model.population.fit import fit_of

    fit = fit_of(population, DESCRIBED_PREFIXES)
    if as_json:
        click.echo(json.dumps(_fit_document(population, fit), indent=2))
        return
    from liveness.cli.display import OutputConsole
    from liveness.report.lab_tables import fit_table

    title = (
        f"Population {population.name}, seed {population.seed}: {len(population.model.profiles)} profiles in"
        f" {len(population.model.sites)} kinds of /24, compared with Bano et al. 2018"
    )
    OutputConsole().print(fit_table(title, fit))
    click.echo(
        "model: what a census of all public space finds on average; sample: what it finds in"
        f" {fit.sampled24:,} whole /24s, scaled up.\nWhat each share is of: docs/model.md."
    )


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@POPULATION
@click.option("--lab", is_flag=True, help="Judge targets as inside the lab, where private addresses may be probed.")
@AS_JSON
def predict(config: Path, source: str, *, lab: bool, as_json: bool) -> None:
    """Say what the census of CONFIG would bring home if the Internet were a population. Sends nothing.

    Hit rates, replies a second, sizes of sets and logs, duration, and the load on single /24s. Nothing is lost in it.
    """
    from liveness.config.load import load_config, resolve_targets
    from liveness.lab.model.population.load import load_population
    from liveness.lab.model.population.predict import predict as predict_census
    from liveness.net.links import in_lab
    from liveness.scan.rate.load import load_of

    loaded = load_config(config)
    targets = resolve_targets(loaded, lab or in_lab(), origin=config)
    prediction = predict_census(loaded, targets, load_of(loaded).wire_bits, load_population(source))
    if as_json:
        click.echo(json.dumps(_prediction_document(loaded.name, prediction), indent=2))
    else:
        _print_prediction(loaded.name, prediction, auto=loaded.rate.auto)


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
    """Print N whole /24s evenly spread over the public address space: targets that stand for all of it.

    A census of single random addresses would meet nearly every router that sends errors, but few hosts; in whole /24s
    the shares are those of the whole.
    """
    from liveness.lab.model.population.sample import public_space, sample24
    from liveness.space.addresses import format_address

    for number in sample24(public_space(), prefixes, seed).tolist():
        click.echo(f"{format_address(number << 8)}/24")


def _fit_document(population: "Population", fit: "Fit") -> dict[str, object]:
    return {
        "schema": 1,
        "population": population.name,
        "seed": population.seed,
        "sampled_prefixes24": fit.sampled24,
        "shares": [
            {
                "share": line.model.name,
                "published": [line.model.low, line.model.high],
                "model": _number(line.model.model),
                "difference": _number(line.model.difference),
                "sample": _number(line.sample.model),
                "sample_difference": _number(line.sample.difference),
            }
            for line in fit.lines
        ],
    }


def _number(value: float) -> float | None:
    """Return a share for JSON: null if its denominator is 0."""
    return None if isnan(value) else value


def _unused(prediction: "Prediction") -> str:
    """Return a note on targets in /24s that the model does not use."""
    used, looked_at = prediction.used24, count_of(prediction.prefixes24, "/24")
    if used:
        return f"The model uses {used:,} of the {looked_at} looked at; nobody answers in the others."
    return (
        f"The model leaves all of the {looked_at} looked at unused: nobody answers there, and that says nothing of the"
        " Internet. `liveness lab sample` prints targets that stand for all of it."
    )


def _print_prediction(name: str, prediction: "Prediction", *, auto: bool) -> None:
    from rich import box

    from liveness.analysis.numbers import percent
    from liveness.cli.config import bandwidth_text, duration_text
    from liveness.cli.display import OutputConsole
    from liveness.report.fitted import FittedTable

    forecast, burden = prediction.estimate, prediction.burden
    basis = "all" if prediction.exact else f"{prediction.sampled:,}"
    click.echo(
        f"A census by {name!r} of population {prediction.population}: {basis} of {forecast.targets:,} targets counted"
    )
    if prediction.used24 < prediction.prefixes24:
        click.echo(_unused(prediction))
    probes = FittedTable("probe", "targets that answer", "hit rate", "replies", "replies/s", box=box.SIMPLE)
    sets = FittedTable("set", "members", "bytes", box=box.SIMPLE)
    for table in (probes, sets):
        for column in table.columns[1:]:
            column.justify = "right"
    for probe in prediction.probes:
        replies = (f"{probe.replies:,.0f}", f"{probe.replies_pps:,.1f}")
        probes.add_row(probe.probe, f"{probe.targets:,.0f}", percent(probe.hit_rate, 2), *replies)
    for entry in prediction.sets[:LARGEST_SETS]:
        key = f"{entry.key.reply.probe} {entry.key.reply.label} {entry.key.role}"
        sets.add_row(key, f"{entry.members:,.0f}", _size(entry.size))
    rest = len(prediction.sets) - LARGEST_SETS
    if rest > 0:
        sets.add_row(f"and {rest:,} more (--json prints all)", "", "")
    console = OutputConsole()
    console.print(probes)
    console.print(sets)
    least = "at least" if auto else "about"
    lines = {
        "duration": f"{least} {duration_text(forecast.duration_s)}, {forecast.packets:,} packets",
        "replies": f"{prediction.replies:,.0f}, {prediction.replies_pps:,.0f}/s while it sends, "
        f"{bandwidth_text(round(prediction.received_bps))} on the wire",
        "sets": f"{len(prediction.sets):,} files, {_size(prediction.set_bytes)}",
        "logs": f"{_size(prediction.parquet_bytes)} with replies: parquet, {_size(prediction.pcap_bytes)} with pcap",
        "each /24": f"{burden.packets:,} packets in all, {_rate(burden.mean_pps)}/s while its block is probed; in its"
        f" worst second any may get {burden.peak_pps:,}",
    }
    click.echo("\n".join(f"{key:<9} {text}" for key, text in lines.items()))


def _rate(pps: float) -> str:
    """Return a rate with three digits, or all digits of a large one."""
    return f"{pps:.3g}" if pps < 100 else f"{pps:,.0f}"  # noqa: PLR2004 - where three digits end


def _size(count: float) -> str:
    """Return bytes with three digits: 9.87 MB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:,.0f} B"


def _prediction_document(name: str, prediction: "Prediction") -> dict[str, object]:
    forecast = prediction.estimate
    return {
        "schema": 1,
        "name": name,
        "population": prediction.population,
        "targets": forecast.targets,
        "sampled": prediction.sampled,
        "exact": prediction.exact,
        "packets": forecast.packets,
        "rate_pps": forecast.rate_pps,
        "duration_s": forecast.duration_s,
        "replies": prediction.replies,
        "prefixes24": {"sampled": prediction.prefixes24, "used": prediction.used24},
        "replies_pps": prediction.replies_pps,
        "received_bps": prediction.received_bps,
        "probes": {
            probe.probe: {
                "targets": probe.targets,
                "hit_rate": probe.hit_rate,
                "replies": probe.replies,
                "replies_pps": probe.replies_pps,
            }
            for probe in prediction.probes
        },
        "sets": [
            {
                "probe": entry.key.reply.probe,
                "kind": entry.key.reply.kind.label,
                "icmp_type": entry.key.reply.icmp_type,
                "icmp_code": entry.key.reply.icmp_code,
                "role": str(entry.key.role),
                "cardinality": entry.members,
                "bytes": entry.size,
            }
            for entry in prediction.sets
        ],
        "set_bytes": prediction.set_bytes,
        "log_bytes": {"parquet": prediction.parquet_bytes, "pcap": prediction.pcap_bytes},
        "per_prefix24": {
            "packets": prediction.burden.packets,
            "mean_pps": prediction.burden.mean_pps,
            "peak_pps": prediction.burden.peak_pps,
        },
    }
