"""`liveness analyze`: the results of runs, as tables or as one JSON document."""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness.errors import UsageError

if TYPE_CHECKING:
    from liveness.analysis.results import Results

FILE_WIDTH = 120  # columns of the tables in a file


@click.command("analyze")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
@click.option("-o", "--output-file", type=click.Path(path_type=Path), help="Write to this file, not to stdout.")
def command(path: Path, *, as_json: bool, output_file: Path | None) -> None:
    """Analyse the run in PATH, or every run below it.

    Prints coverage, reply types, ICMP errors, ports, tarpits, conditional activity, patterns and gains of each run,
    every number with its formula, and what changed from each run to the next. Needs no privileges.
    """
    from liveness.analysis.document import encode
    from liveness.analysis.results import analyze_runs
    from liveness.analysis.run import warnings_of
    from liveness.store.rundir import find_runs

    results = analyze_runs(find_runs(path))
    for run in results.runs:
        for warning in warnings_of(run.manifest):
            click.echo(f"liveness: warning: {warning}", err=True)
    content = encode(results) if as_json else _tables(results, to_file=output_file is not None).encode()
    if output_file is None:
        _print(content)
        return
    try:
        output_file.write_bytes(content)
    except OSError as problem:
        raise UsageError(f"{output_file}: cannot write the results here: {problem.strerror}") from problem


def _tables(results: "Results", *, to_file: bool) -> str:
    """Return the tables as text: for the terminal or pipe stdout is, or as wide and as plain as a file wants them."""
    from rich.console import Console

    from liveness.report.tables import report_tables

    console = Console(file=io.StringIO(), width=FILE_WIDTH) if to_file else Console()
    with console.capture() as captured:
        for table in report_tables(results):
            console.print(table)
    return captured.get()


def _print(content: bytes) -> None:
    """Write to stdout."""
    sys.stdout.buffer.write(content)
    sys.stdout.flush()
