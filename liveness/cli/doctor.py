"""``liveness doctor``: what this machine can do, what it lacks, and the remedy."""

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Try every kernel feature and privilege that scanning may use, and say what is missing.

    Sends nothing. Exit code 0 if scanning works on this machine's own interfaces or in the lab, 3 if neither does.
    """
    from liveness.net.features import abilities, probe_features

    features = probe_features()
    able = abilities(features)
    if as_json:
        import dataclasses
        import json

        rows = [dataclasses.asdict(feature) for feature in features]
        click.echo(json.dumps({"schema": 1, "scan": able.scan, "lab": able.lab, "features": rows}, indent=1))
    else:
        from rich.markup import escape
        from rich.table import Table

        from liveness.cli.display import OutputConsole

        table = Table("feature", "", "found", "needed by")
        for feature in features:
            mark = "[green]yes[/]" if feature.available else "[red]no[/]"
            table.add_row(escape(feature.name), mark, escape(feature.detail), escape(feature.needed_by))
        console = OutputConsole()
        console.print(table)
        for feature in features:
            if feature.remedy is not None:  # below the table, because a command cut into a column cannot be copied
                console.print(f"[bold]{escape(feature.name)}:[/] {escape(feature.remedy)}", soft_wrap=True)
        console.print(verdict(scan=able.scan, lab=able.lab), soft_wrap=True)
    if not (able.scan or able.lab):
        context.exit(3)


def verdict(*, scan: bool, lab: bool) -> str:
    """Say in one line what works here."""
    if scan and lab:
        return "Works here: scanning on this machine's own interfaces, the lab, and analysis."
    if scan:
        return "Works here: scanning on this machine's own interfaces, and analysis; not the lab."
    if lab:
        return "Works here: the lab (liveness lab exec), and analysis; not scanning on this machine's own interfaces."
    return "Works here: analysis only; scanning needs raw sockets here or a private network."
