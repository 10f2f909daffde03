"""`liveness lab`: run a command in a private network of real or modelled hosts, describe it, check a run against it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from liveness import log
from liveness.cli.lab_traffic import check_passive_run, traffic
from liveness.cli.options import AS_JSON
from liveness.cli.population import describe_population, predict, sample

if TYPE_CHECKING:
    from liveness.lab.hosts.document import Internet
    from liveness.lab.source import PopulationFile

INTERNET = click.option(
    "--internet",
    "source",
    default="default",
    show_default=True,
    metavar="FILE",
    help="Lab file or population file: a path, or the name of a packaged one.",
)
PLAIN = click.option(
    "--plain", is_flag=True, help="Nothing but Python: no nft, no daemons, as on a machine that has none of them."
)


@click.group("lab")
def command() -> None:
    """Make a private network of real Linux hosts, without root and with no way out, and know its ground truth."""


command.add_command(predict)
command.add_command(sample)
command.add_command(traffic)


@command.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@INTERNET
@PLAIN
@click.option("--ideal", is_flag=True, help="A population without its network model: no latency, no loss, no limit.")
@click.option(
    "--vantages",
    type=click.IntRange(1, 16),
    help="Scan from so many places at once, each with an interface of its own; by default those of the file, or one.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print who serves what.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARG]...")
def exec_(
    source: str, arguments: tuple[str, ...], *, plain: bool, ideal: bool, vantages: int | None, verbose: bool
) -> None:
    """Run CMD in the scanner's place of a lab and give back its exit code (128 + n if signal n ended it).

    Signals reach CMD, and when it ends everything is taken down. Inside, the user is root of a user namespace: CMD may
    open raw sockets there. The file system is the usual one.

    In a lab of several vantage points CMD runs in each of them at the same time. In its arguments {vantage} stands for
    the name of the place, {index} for its number from 0, and {vantages} for how many there are.
    """
    from liveness.lab.shell import run_in_lab

    code = run_in_lab(
        arguments, source=source, plain=plain, notice=log.notice, verbose=verbose, ideal=ideal, vantages=vantages
    )
    sys.exit(code)


@command.command()
@click.argument("name", required=False)
@INTERNET
@PLAIN
@AS_JSON
def describe(name: str | None, source: str, *, plain: bool, as_json: bool) -> None:
    """List the networks of a lab, what each does, and how large the sets of a perfect census are.

    NAME is the lab file, as after --internet. For a population file it prints the shares that a census finds, each
    next to the published one.
    """
    from liveness.cli.printing import print_document, print_tables
    from liveness.lab.documents import internet_document
    from liveness.lab.hosts.describe import ground_truth, network_lines
    from liveness.lab.source import find_population
    from liveness.report.views.lab import network_table, truth_table

    source = name or source
    named = find_population(source)
    if named is not None:
        from liveness.lab.model.population.load import parse_population

        describe_population(parse_population(named.text, named.origin), as_json=as_json)
        return
    internet = _internet(source, plain=plain)
    if as_json:
        print_document(internet_document(internet))
        return
    print_tables([network_table(internet.name, network_lines(internet)), truth_table(ground_truth(internet))])


@command.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option(
    "--internet",
    "source",
    metavar="FILE",
    help="Lab file or population file: a path, or a packaged name; if not given, what the run scanned.",
)
@click.option(
    "--traffic",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="For a passive run: the folder of `liveness lab traffic` with the traffic that the run read.",
)
@PLAIN
@AS_JSON
def check(run_dir: Path, source: str | None, folder: Path | None, *, plain: bool, as_json: bool) -> None:
    """Compare the run in RUN_DIR with the lab's ground truth, set by set, for exactly the addresses it scanned.

    For a run against the model Internet it prints recall and precision of every set, and what the model itself lost
    apart from what nothing explains. A survey of the model is compared round by round. The exit code is 0 if nothing
    is missing that was let through and nothing is extra, 1 otherwise.

    For a passive run over generated traffic (--traffic) it prints the classes of all one-way flows by purpose, and each
    number about the services and outages that is not the true one.
    """
    if folder is not None:
        check_passive_run(run_dir, folder, as_json=as_json)
    from liveness.cli.printing import print_document, print_tables
    from liveness.lab.documents import comparison_document
    from liveness.lab.source import find_population, recorded_population
    from liveness.planes.rundir import BLOCKS_FILE
    from liveness.report.views.lab import difference_table

    named = recorded_population(run_dir) if source is None else find_population(source)
    if (run_dir / BLOCKS_FILE).is_file():
        _check_survey(run_dir, named, as_json=as_json)
    if named is not None:
        _check_model_run(run_dir, named, as_json=as_json)
    from liveness.lab.hosts.check import check_run

    comparison = check_run(run_dir, _internet(source or "default", plain=plain))
    if as_json:
        print_document(comparison_document(comparison))
    elif comparison.equal:
        click.echo(
            f"{comparison.run}: equal to the ground truth: {comparison.sets:,} sets with {comparison.members:,} members"
            f" of {comparison.targets:,} targets"
        )
    else:
        print_tables([difference_table(comparison)])
    sys.exit(0 if comparison.equal else 1)


def _check_model_run(run_dir: Path, named: "PopulationFile", *, as_json: bool) -> NoReturn:
    """Compare a run with the model Internet, print the comparison, and exit."""
    from liveness.cli.printing import print_document, print_tables
    from liveness.lab.documents import model_document
    from liveness.lab.model.check import check_model_run, no_record
    from liveness.lab.model.population.load import parse_population
    from liveness.report.views.lab import judged_tables, model_text

    comparison = check_model_run(run_dir, parse_population(named.text, named.origin))
    if comparison.summary is None:
        log.notice(f"lab: {no_record(run_dir)}")
    if as_json:
        print_document(model_document(comparison))
    else:
        click.echo(model_text(comparison))
        print_tables(judged_tables(comparison))
    sys.exit(0 if comparison.equal else 1)


def _check_survey(run_dir: Path, named: "PopulationFile | None", *, as_json: bool) -> NoReturn:
    """Compare a survey with the model Internet, print the comparison, and exit."""
    from liveness.cli.printing import print_document
    from liveness.errors import UsageError
    from liveness.lab.model.population.load import parse_population
    from liveness.survey.judgement import judge_survey

    if named is None:
        raise UsageError(f"{run_dir}: a survey, but not of the model Internet: name its population with --internet")
    judgement = judge_survey(run_dir, parse_population(named.text, named.origin))
    if as_json:
        print_document(judgement.document())
    else:
        for line in judgement.lines():
            click.echo(line)
    sys.exit(0 if judgement.equal else 1)


def _internet(source: str, *, plain: bool) -> "Internet":
    """Load a lab file without the networks that this machine cannot build; report those on stderr."""
    from liveness.lab.load import load_internet
    from liveness.lab.tools import find_tools

    tools = find_tools(plain=plain)
    internet = load_internet(source)
    for line in tools.notes(internet):
        log.notice(f"lab: {line}")
    return tools.fit(internet)
