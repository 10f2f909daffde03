"""``liveness probes``: list the probes from their registry."""

import click

from liveness.cli.options import AS_JSON


@click.command("probes")
@AS_JSON
def command(as_json: bool) -> None:
    """List the probes: what each sends, and what counts as a reply."""
    from liveness.cli.printing import print_document, print_tables
    from liveness.probes.registry import listed_probes
    from liveness.report.views.probes import probe_document, probe_table

    probes = listed_probes()
    if as_json:
        print_document([probe_document(probe) for probe in probes])
    else:
        print_tables([probe_table(probes)])
