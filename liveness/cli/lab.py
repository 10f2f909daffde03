"""`liveness lab`: run a command in a private network of real or modelled hosts, describe it, check a run against it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from liveness import log
from liveness.cli.population import describe_population, predict, sample

if TYPE_CHECKING:
    from liveness.lab.hosts.check import Comparison
    from liveness.lab.hosts.document import Internet
    from liveness.lab.model.check import ModelComparison
    from liveness.lab.source import PopulationFile

WORST = 20

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
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group("lab")
def command() -> None:
    """Make a private network of real Linux hosts, without root and with no way out, and know its ground truth."""


command.add_command(predict)
command.add_command(sample)


@command.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@INTERNET
@PLAIN
@click.option("--ideal", is_flag=True, help="A population without its network model: no latency, no loss, no limit.")
@click.option("-v", "--verbose", is_flag=True, help="Print who serves what.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARG]...")
def exec_(source: str, arguments: tuple[str, ...], *, plain: bool, ideal: bool, verbose: bool) -> None:
    """Run CMD in the scanner's place of a lab and give back its exit code (128 + n if signal n ended it).

    Signals reach CMD, and when it ends everything is taken down. Inside, the user is root of a user namespace: CMD may
    open raw sockets there. The file system is the usual one.
    """
    from liveness.lab.shell import run_in_lab

    sys.exit(run_in_lab(arguments, source=source, plain=plain, notice=log.notice, verbose=verbose, ideal=ideal))


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
    from dataclasses import asdict

    from liveness.lab.hosts.describe import ground_truth, network_lines
    from liveness.lab.source import find_population

    source = name or source
    named = find_population(source)
    if named is not None:
        from liveness.lab.model.population.load import parse_population

        describe_population(parse_population(named.text, named.origin), as_json=as_json)
        return
    internet = _internet(source, plain=plain)
    lines, truth = network_lines(internet), ground_truth(internet)
    if as_json:
        sets = [
            {"probe": key.reply.probe, "label": key.reply.label, "role": str(key.role), "cardinality": len(members)}
            for key, members in sorted(truth.items(), key=lambda item: item[0].file)
        ]
        document = {"schema": 1, "name": internet.name, "networks": [asdict(line) for line in lines], "sets": sets}
        click.echo(json.dumps(document, indent=2))
        return
    from liveness.cli.display import OutputConsole
    from liveness.report.lab_tables import networks_table, truth_table

    for table in (networks_table(internet.name, lines), truth_table(truth)):
        OutputConsole().print(table)


@command.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option(
    "--internet",
    "source",
    metavar="FILE",
    help="Lab file or population file: a path, or a packaged name; if not given, what the run scanned.",
)
@PLAIN
@AS_JSON
def check(run_dir: Path, source: str | None, *, plain: bool, as_json: bool) -> None:
    """Compare the run in RUN_DIR with the lab's ground truth, set by set, for exactly the addresses it scanned.

    For a run against the model Internet it prints recall and precision of every set, and what the model itself lost
    apart from what nothing explains. The exit code is 0 if nothing is missing that was let through and nothing is
    extra, 1 otherwise.
    """
    from liveness.lab.source import find_population, recorded_population

    named = recorded_population(run_dir) if source is None else find_population(source)
    if named is not None:
        _check_model_run(run_dir, named, as_json=as_json)
    from liveness.lab.hosts.check import check_run

    comparison = check_run(run_dir, _internet(source or "default", plain=plain))
    if as_json:
        click.echo(json.dumps(_document(comparison), indent=2))
    elif comparison.equal:
        click.echo(
            f"{comparison.run}: equal to the ground truth: {comparison.sets:,} sets with {comparison.members:,} members"
            f" of {comparison.targets:,} targets"
        )
    else:
        _print_differences(comparison)
    sys.exit(0 if comparison.equal else 1)


def _check_model_run(run_dir: Path, named: "PopulationFile", *, as_json: bool) -> NoReturn:
    """Compare a run with the model Internet, print the comparison, and exit."""
    from liveness.lab.model.check import check_model_run, no_record
    from liveness.lab.model.population.load import parse_population

    comparison = check_model_run(run_dir, parse_population(named.text, named.origin))
    if comparison.summary is None:
        log.notice(f"lab: {no_record(run_dir)}")
    if as_json:
        click.echo(json.dumps(_model_document(comparison), indent=2))
    else:
        _print_model_comparison(comparison)
    sys.exit(0 if comparison.equal else 1)


def _internet(source: str, *, plain: bool) -> "Internet":
    """Load a lab file without the networks that this machine cannot build; report those on stderr."""
    from liveness.lab.load import load_internet
    from liveness.lab.tools import find_tools

    tools = find_tools(plain=plain)
    internet = load_internet(source)
    for line in tools.notes(internet):
        log.notice(f"lab: {line}")
    return tools.fit(internet)


def _document(comparison: "Comparison") -> dict[str, object]:
    from liveness.report.lab_tables import examples

    return {
        "schema": 1,
        "run": comparison.run,
        "equal": comparison.equal,
        "targets": comparison.targets,
        "sets": comparison.sets,
        "differences": [
            {
                "probe": difference.key.reply.probe,
                "kind": difference.key.reply.kind.label,
                "icmp_type": difference.key.reply.icmp_type,
                "icmp_code": difference.key.reply.icmp_code,
                "role": str(difference.key.role),
                "expected": difference.expected,
                "found": difference.found,
                "missing": len(difference.missing),
                "missing_examples": examples(difference.missing),
                "extra": len(difference.extra),
                "extra_examples": examples(difference.extra),
            }
            for difference in comparison.differences
        ],
    }


def _print_differences(comparison: "Comparison") -> None:
    from liveness.cli.display import OutputConsole
    from liveness.report.lab_tables import differences_table

    OutputConsole().print(differences_table(comparison, WORST))
    if len(comparison.differences) > WORST:
        click.echo(f"and {len(comparison.differences) - WORST:,} more (--json prints all)")


def _model_document(comparison: "ModelComparison") -> dict[str, object]:
    summary = comparison.summary
    model = None
    if summary is not None:
        model = {
            "lossless": summary.lossless,
            "packets": summary.packets,
            "replies": summary.replies,
            "duplicates": summary.duplicates,
            "noise": summary.noise,
            "overrun": summary.overrun,
            "malformed": summary.malformed,
            "lost": summary.lost,
        }
    from liveness.report.lab_tables import examples

    return {
        "schema": 1,
        "run": comparison.run,
        "equal": comparison.equal,
        "targets": comparison.targets,
        "sets": len(comparison.judged),
        "members": comparison.members,
        "model": model,
        "keys": [
            {
                "probe": judged.key.reply.probe,
                "kind": judged.key.reply.kind.label,
                "icmp_type": judged.key.reply.icmp_type,
                "icmp_code": judged.key.reply.icmp_code,
                "role": str(judged.key.role),
                "expected": judged.expected,
                "found": judged.found,
                "recall": judged.recall,
                "precision": judged.precision,
                "lost": judged.lost,
                "recall_of_passed": judged.recall_of_passed,
                "unexplained": len(judged.unexplained),
                "unexplained_examples": examples(judged.unexplained),
                "extra": len(judged.extra),
                "extra_examples": examples(judged.extra),
            }
            for judged in comparison.judged
        ],
    }


def _print_model_comparison(comparison: "ModelComparison") -> None:
    lost = sum(judged.lost for judged in comparison.judged)
    found = sum(judged.right for judged in comparison.judged)
    head = f"{comparison.run}: {len(comparison.judged):,} sets of {comparison.targets:,} targets"
    if comparison.equal:
        whole = "recall and precision are 1 for every set" if not lost else "all that was let through, and nothing else"
        click.echo(f"{head}: {whole}: {found:,} of {comparison.members:,} members")
    else:
        click.echo(f"{head}: {len(comparison.imperfect):,} differ from what was let through")
    for line in comparison.problems:
        click.echo(line)
    if lost:
        click.echo(f"the model lost {lost:,} members:")
    worst = [judged for judged in comparison.judged if not judged.perfect or judged.lost][:WORST]
    if worst:
        from liveness.cli.display import OutputConsole
        from liveness.report.lab_tables import judged_table

        OutputConsole().print(judged_table(worst))
        rest = sum(1 for judged in comparison.judged if not judged.perfect or judged.lost) - len(worst)
        if rest:
            click.echo(f"and {rest:,} more (--json prints all)")
