"""`liveness lab`: run a command in a private network of real Linux hosts, describe it, check a run against it."""

import json
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness.cli.population import describe_population, predict, sample

if TYPE_CHECKING:
    from pyroaring import BitMap

    from liveness.lab.check import Comparison, Difference
    from liveness.lab.model import Internet

EXAMPLES = 3
WORST = 20

INTERNET = click.option(
    "--internet",
    "source",
    default="default",
    show_default=True,
    metavar="FILE",
    help="Lab file: a path, or the name of a packaged one.",
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
@click.option("-v", "--verbose", is_flag=True, help="Tell who serves what.")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD [ARG]...")
def exec_(source: str, arguments: tuple[str, ...], *, plain: bool, verbose: bool) -> None:
    """Run CMD in the scanner's place of a lab and give back its exit code (128 + n if signal n ended it).

    Signals reach CMD, and when it ends everything is taken down. Inside, the user is root of a user namespace: CMD may
    open raw sockets there. The file system is the usual one.
    """
    from liveness.lab.shell import run_in_lab

    def tell(line: str) -> None:
        click.echo(f"liveness: {line}", err=True)

    sys.exit(run_in_lab(arguments, source=source, plain=plain, tell=tell, verbose=verbose))


@command.command()
@click.argument("name", required=False)
@INTERNET
@PLAIN
@AS_JSON
def describe(name: str | None, source: str, *, plain: bool, as_json: bool) -> None:
    """List the networks of a lab, what each does, and how large the sets of a perfect census are.

    NAME is the lab file, as after --internet. Of a population file the shares are told that a census finds, each beside
    the published one.
    """
    from dataclasses import asdict

    from liveness.lab.describe import ground_truth, network_lines
    from liveness.lab.source import find_population

    source = name or source
    named = find_population(source)
    if named is not None:
        from liveness.lab.population.load import parse_population

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
    from rich.table import Table

    from liveness.cli.display import OutputConsole
    from liveness.lab.truth import PROBES
    from liveness.types import Role

    networks = Table("network", "prefixes", "addresses", "what it does", title=f"Lab {internet.name}", box=box.SIMPLE)
    for line in lines:
        networks.add_row(line.name, "\n".join(line.prefixes), f"{line.addresses:,}", line.does)
    networks.columns[2].justify = "right"
    targets = {key.reply: len(members) for key, members in truth.items() if key.role is Role.TARGET}
    labels = dict.fromkeys(one.label for one in sorted(targets, key=lambda one: (one.kind, one.label)))
    sizes = Table(title="How many targets a perfect census finds (sets of every role: --json)", box=box.SIMPLE)
    sizes.add_column("reply", no_wrap=True)
    sizes.add_column("probe and targets")
    for label in labels:
        counts = {reply.probe: count for reply, count in targets.items() if reply.label == label}
        sizes.add_row(label, ", ".join(f"{probe} {counts[probe]:,}" for probe in PROBES if probe in counts))
    for table in (networks, sizes):
        OutputConsole().print(table)


@command.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@INTERNET
@PLAIN
@AS_JSON
def check(run_dir: Path, source: str, *, plain: bool, as_json: bool) -> None:
    """Compare the run in RUN_DIR with the lab's ground truth, set by set, for exactly the addresses it scanned.

    The exit code is 0 if nothing is missing and nothing is extra, 1 otherwise.
    """
    from liveness.lab.check import check_run

    comparison = check_run(run_dir, _internet(source, plain=plain))
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


def _internet(source: str, *, plain: bool) -> "Internet":
    """Load a lab file and take out what was not built on this machine; say so on stderr."""
    from liveness.lab.load import load_internet
    from liveness.lab.tools import find_tools

    tools = find_tools(plain=plain)
    internet = load_internet(source)
    for line in tools.notes(internet):
        click.echo(f"liveness: lab: {line}", err=True)
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
    from rich.table import Table

    from liveness.cli.display import OutputConsole

    title = (
        f"{comparison.run}: {len(comparison.differences):,} of {comparison.sets:,} sets differ from the ground truth"
    )
    table = Table("set", "expected", "found", "missing", "extra", "for example", title=title, box=box.SIMPLE)
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
