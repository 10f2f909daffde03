"""``liveness doctor``: kernel features and privileges of this machine, and remedies for those that are missing."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from liveness.net.features import Feature
    from liveness.net.transport import WayTrial


@click.command("doctor")
@click.option("-i", "--interface", help="Also try the ways to send on this interface: each sends a frame to itself.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the tables.")
@click.option("--compile", "compiles", is_flag=True, help="Compile all kernels, as for an image; nothing else.")
@click.pass_context
def command(context: click.Context, *, interface: str | None, as_json: bool, compiles: bool) -> None:
    """Try every kernel feature and privilege that scanning may use, and say what is missing.

    The ways to send are tried on a link of a private network; nothing leaves this machine but what -i asks for: a frame
    of 60 bytes for each way, from the interface to itself, with EtherType 0x88B5.
    Exit code 0 if scanning works on this machine's own interfaces or in the lab, 3 if neither does.
    """
    if compiles:
        from liveness.scan.session import compile_kernels

        compile_kernels()
        click.echo("all kernels are compiled")
        return
    from liveness.net.features import abilities, probe_features, probe_ways

    features, ways = probe_features(), probe_ways(interface)
    able = abilities(features)
    if as_json:
        import dataclasses
        import json

        document = {
            "schema": 1,
            "scan": able.scan,
            "lab": able.lab,
            "features": [dataclasses.asdict(feature) for feature in features],
            "transports": [dataclasses.asdict(way) for way in ways],
        }
        click.echo(json.dumps(document, indent=1))
    else:
        from liveness.cli.display import OutputConsole

        console = OutputConsole()
        _print_features(console, features)
        if ways:
            _print_ways(console, ways)
        console.print(verdict(scan=able.scan, lab=able.lab), soft_wrap=True)
    if not (able.scan or able.lab):
        context.exit(3)


def _print_features(console: "Console", features: "Sequence[Feature]") -> None:
    from rich.markup import escape

    from liveness.report.fitted import FittedTable

    table = FittedTable("feature", "here", "found", "needed by")
    for feature in features:
        mark = "[green]yes[/]" if feature.available else "[red]no[/]"
        table.add_row(escape(feature.name), mark, escape(feature.detail), escape(feature.needed_by))
    console.print(table)
    for feature in features:
        if feature.remedy is not None:  # below the table: a command that is wrapped in a column cannot be copied
            console.print(f"[bold]{escape(feature.name)}:[/] {escape(feature.remedy)}", soft_wrap=True)


def _print_ways(console: "Console", ways: "Sequence[WayTrial]") -> None:
    """Print the trials of the ways to send; `network.transport: auto` uses the first that passed."""
    from rich.markup import escape

    from liveness.report.fitted import FittedTable

    table = FittedTable("interface", "sending by", "result", "frames a call", "trial")
    for way in ways:
        mark = "[green]passed[/]" if way.passed else "[red]failed[/]"
        frames = "" if way.frames_a_call is None else f"{way.frames_a_call:,}"
        table.add_row(escape(way.interface), escape(way.way), mark, frames, escape(way.detail))
    console.print(table)


def verdict(*, scan: bool, lab: bool) -> str:
    """Return a line on what works here."""
    if scan and lab:
        return "Works here: scanning on this machine's own interfaces, the lab, and analysis."
    if scan:
        return "Works here: scanning on this machine's own interfaces, and analysis; not the lab."
    if lab:
        return "Works here: the lab (liveness lab exec), and analysis; not scanning on this machine's own interfaces."
    return "Works here: analysis only; scanning needs raw sockets here or a private network."
