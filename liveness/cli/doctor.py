"""``liveness doctor``: kernel features and privileges of this machine, and remedies for those that are missing."""

import click


@click.command("doctor")
@click.option("-i", "--interface", help="Also try the ways to send on this interface: each sends a frame to itself.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the tables.")
@click.option("--compile", "compiles", is_flag=True, help="Compile all kernels, as for an image; nothing else.")
@click.pass_context
def command(context: click.Context, *, interface: str | None, as_json: bool, compiles: bool) -> None:
    """Try every kernel feature and privilege that scanning may use, and say what is missing.

    The ways to send are tried on a link of a private network; nothing leaves this machine but what -i asks for: a frame
    of 60 bytes for each way, from the interface to itself, with EtherType 0x88B5. The trial of live frames may attach
    an XDP program, which resets some cards: their link is then down for some seconds.
    Exit code 0 if scanning works on this machine's own interfaces or in the lab, 3 if neither does.
    """
    if compiles:
        from liveness.cli.warm import PARTS, compile_steps

        compile_steps(PARTS["scan"]())
        click.echo("all kernels are compiled")
        return
    from liveness.cli.printing import print_document, print_tables
    from liveness.net.features import abilities, probe_features, probe_ways

    features, ways = probe_features(), probe_ways(interface)
    able = abilities(features)
    if as_json:
        print_document({"schema": 1, "scan": able.scan, "lab": able.lab, "features": features, "transports": ways})
    else:
        from liveness.report.views.doctor import feature_table, remedies, way_table, works_here

        print_tables([feature_table(features)])
        for line in remedies(features):
            click.echo(line)
        if ways:
            print_tables([way_table(ways)])
        click.echo(works_here(able))
    if not (able.scan or able.lab):
        context.exit(3)
