"""`liveness lab`: run a command in a private network of real or modelled hosts, describe it, check a run against it."""

import json
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from liveness import log
from liveness.cli.population import describe_population, predict, sample

if TYPE_CHECKING:
    from pyroaring import BitMap

    from liveness.lab.hosts.check import Comparison, Difference
    from liveness.lab.hosts.document import Internet
    from liveness.lab.model.check import ModelComparison
    from liveness.lab.source import PopulationFile

EXAMPLES = 3
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

    sys.exit(run_in_lab(arguments, source=source, plain=plain, tell=log.notice, verbose=verbose, ideal=ideal))


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
    from rich import box

    from liveness.cli.display import OutputConsole
    from liveness.lab.hosts.truth import PROBES
    from liveness.replies import Role
    from liveness.report.fitted import FittedTable

    networks = FittedTable(
        "network", "prefixes", "addresses", "what it does", title=f"Lab {internet.name}", box=box.SIMPLE
    )
    for line in lines:
        networks.add_row(line.name, "\n".join(line.prefixes), f"{line.addresses:,}", line.does)
    networks.columns[2].justify = "right"
    targets = {key.reply: len(members) for key, members in truth.items() if key.role is Role.TARGET}
    labels = dict.fromkeys(one.label for one in sorted(targets, key=lambda one: (one.kind, one.label)))
    sizes = FittedTable(title="How many targets a perfect census finds (sets of every role: --json)", box=box.SIMPLE)
    sizes.add_column("reply", no_wrap=True)
    sizes.add_column("probe and targets")
    for label in labels:
        counts = {reply.probe: count for reply, count in targets.items() if reply.label == label}
        sizes.add_row(label, ", ".join(f"{probe} {counts[probe]:,}" for probe in PROBES if probe in counts))
    for table in (networks, sizes):
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
    """Compare a run with the model Internet, print that, and leave."""
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
    """Load a lab file and take out what was not built on this machine; say so on stderr."""
    from liveness.lab.load import load_internet
    from liveness.lab.tools import find_tools

    tools = find_tools(plain=plain)
    internet = load_internet(source)
    for line in tools.notes(internet):
        log.notice(f"lab: {line}")
    return tools.fit(internet)


def _document(comparison: "Comparison") -> dict[str, object]:
    return {
        "schema": 1,
        "run": comparison.run,
        "equal": comparison.equal,
        "targets": comparison.targets,
        "sets": comparison.sets,
        "differences": [
            {
                "probe": one.key.reply.probe,
                "kind": one.key.reply.kind.label,
                "icmp_type": one.key.reply.icmp_type,
                "icmp_code": one.key.reply.icmp_code,
                "role": str(one.key.role),
                "expected": one.expected,
                "found": one.found,
                "missing": len(one.missing),
                "missing_examples": _examples(one.missing),
                "extra": len(one.extra),
                "extra_examples": _examples(one.extra),
            }
            for one in comparison.differences
        ],
    }


def _print_differences(comparison: "Comparison") -> None:
    from rich import box

    from liveness.cli.display import OutputConsole
    from liveness.report.fitted import FittedTable

    title = (
        f"{comparison.run}: {len(comparison.differences):,} of {comparison.sets:,} sets differ from the ground truth"
    )
    table = FittedTable("set", "expected", "found", "missing", "extra", "for example", title=title, box=box.SIMPLE)
    for column in table.columns[1:5]:
        column.justify = "right"
    for one in comparison.differences[:WORST]:
        counts = (one.expected, one.found, len(one.missing), len(one.extra))
        name = f"{one.key.reply.probe} {one.key.reply.label} {one.key.role}"
        table.add_row(name, *(f"{count:,}" for count in counts), _example_text(one))
    OutputConsole().print(table)
    if len(comparison.differences) > WORST:
        click.echo(f"and {len(comparison.differences) - WORST:,} more (--json prints all)")


def _example_text(one: "Difference") -> str:
    missing = [f"-{address}" for address in _examples(one.missing)]
    return " ".join(missing + [f"+{address}" for address in _examples(one.extra)])


def _examples(members: "BitMap") -> list[str]:
    return [str(IPv4Address(address)) for address in members[:EXAMPLES]]


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
                "probe": one.key.reply.probe,
                "kind": one.key.reply.kind.label,
                "icmp_type": one.key.reply.icmp_type,
                "icmp_code": one.key.reply.icmp_code,
                "role": str(one.key.role),
                "expected": one.expected,
                "found": one.found,
                "recall": one.recall,
                "precision": one.precision,
                "lost": one.lost,
                "recall_of_passed": one.recall_of_passed,
                "unexplained": len(one.unexplained),
                "unexplained_examples": _examples(one.unexplained),
                "extra": len(one.extra),
                "extra_examples": _examples(one.extra),
            }
            for one in comparison.judged
        ],
    }


def _print_model_comparison(comparison: "ModelComparison") -> None:
    lost = sum(one.lost for one in comparison.judged)
    found = sum(one.right for one in comparison.judged)
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
    worst = [one for one in comparison.judged if not one.perfect or one.lost][:WORST]
    if worst:
        from rich import box

        from liveness.cli.display import OutputConsole
        from liveness.report.fitted import FittedTable

        table = FittedTable(
            "set", "expected", "found", "recall", "precision", "lost", "unexplained", "extra", box=box.SIMPLE
        )
        for column in table.columns[1:]:
            column.justify = "right"
        for one in worst:
            name = f"{one.key.reply.probe} {one.key.reply.label} {one.key.role}"
            shares = ("-" if share is None else f"{share:.4f}" for share in (one.recall, one.precision))
            counts = (one.lost, len(one.unexplained), len(one.extra))
            table.add_row(name, f"{one.expected:,}", f"{one.found:,}", *shares, *(f"{count:,}" for count in counts))
        OutputConsole().print(table)
        rest = sum(1 for one in comparison.judged if not one.perfect or one.lost) - len(worst)
        if rest:
            click.echo(f"and {rest:,} more (--json prints all)")
