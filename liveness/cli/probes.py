"""``liveness probes``: list the probes from their registry."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from liveness.probes.probe import Probe


@click.command("probes")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """List the probes: what each sends, and what counts as a reply."""
    from liveness.probes.registry import listed_probes

    probes = listed_probes()
    if as_json:
        click.echo(json.dumps([_document(probe) for probe in probes], indent=2))
    else:
        _print_table(probes)


def _document(probe: "Probe") -> dict[str, object]:
    return {
        "name": probe.name,
        "protocol": probe.method,
        "port": probe.port or None,
        "fields": probe.fields,
        "payload": probe.payload,
        "replies": {kind.label: text for kind, text in probe.replies.items()},
    }


def _print_table(probes: "tuple[Probe, ...]") -> None:

    from liveness.cli.display import OutputConsole
    from liveness.report.fitted import FittedTable

    table = FittedTable(show_lines=True, title="Probes", title_justify="left")
    for heading in ("probe", "cookie in", "payload", "what counts as a reply"):
        table.add_column(heading, overflow="fold")
    for probe in probes:
        replies = "\n".join(f"[bold]{kind.label}[/]: {text}" for kind, text in probe.replies.items())
        table.add_row(probe.name, probe.fields, probe.payload, replies)
    OutputConsole().print(table)
