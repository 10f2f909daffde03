"""`liveness analyze`: results of runs as tables, JSON document, figures, page or map."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.interrupts import interrupts
from liveness.cli.options import (
    FORMAT,
    JSON_NOT_TABLES,
    LATEX,
    OUTPUT_FILE,
    check_format,
    csv_option,
    figures_option,
    html_option,
)
from liveness.errors import LivenessError, UsageError

if TYPE_CHECKING:
    from liveness.analysis.counting.scope import Scope, Within
    from liveness.analysis.results import Results
    from liveness.report.options import Outputs


@click.command("analyze")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option(
    "--across",
    is_flag=True,
    help="Compare the vantage points of runs of the same targets: what each sees, and what it misses.",
)
@JSON_NOT_TABLES
@OUTPUT_FILE
@click.option(
    "--within",
    multiple=True,
    metavar="PREFIXES|FILE",
    help="Count only addresses in these prefixes, ranges or addresses, separated by commas, or in such a list file.",
)
@click.option(
    "--by",
    type=click.Choice(["prefix8", "asn", "country"]),
    help="Slice each run: taxonomy and coverage of every /8, autonomous system or country.",
)
@click.option(
    "--prefix-data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What --by asn and country need: CAIDA's pfx2as text (prefix, length, label; gzip or not) or an MMDB file.",
)
@click.option("--top", default=20, show_default=True, type=click.IntRange(min=1), help="How many slices a table shows.")
@figures_option("Draw the paper's figures, and more, into this directory; of several runs, into a directory each.")
@FORMAT
@html_option("Write one HTML file that needs no other: figures, tables, map, provenance and warnings.")
@csv_option("Write every table into this directory as a CSV file: one number a line, with unit and denominator.")
@LATEX
@click.option(
    "--map",
    "map_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw where the alive addresses of the last run are, as a PNG: a pixel for each /24, along a Hilbert curve.",
)
@click.option(
    "--zoom",
    multiple=True,
    metavar="OCTET",
    help="Enlarge a /8, as 203 or 203.0.0.0/8, next to the --map or in the --html; more than once for several.",
)
def command(
    paths: tuple[Path, ...],
    *,
    across: bool,
    as_json: bool,
    output_file: Path | None,
    within: tuple[str, ...],
    by: str | None,
    prefix_data: Path | None,
    top: int,
    figures: Path | None,
    form: str | None,
    html: Path | None,
    csv_folder: Path | None,
    latex_folder: Path | None,
    map_file: Path | None,
    zoom: tuple[str, ...],
) -> None:
    """Analyse the run in PATH, or every run below it; with several PATHs, all their runs together.

    Prints coverage, reply types, ICMP errors, ports, tarpits, conditional activity, patterns and gains of each run,
    every number with its formula, and what changed from each run to the next. Needs no privileges.

    With --across, runs from two or more vantage points (`scan --vantage NAME`) are compared on the targets and probes
    that all of them have: what each place sees, misses and sees alone, what more places would gain, and where they
    differ. --by slices the comparison too.

    With --figures, --html, --csv, --latex or --map these files are written, and tables printed only if -o or --json
    asks for them.
    """
    click.get_current_context().with_resource(interrupts.ending_soon())
    from liveness.analysis.counting.run import warnings_of
    from liveness.analysis.document import encode
    from liveness.analysis.results import analyze_runs
    from liveness.cli.printing import print_results
    from liveness.files.outputs import check_output
    from liveness.report.tables import report_tables
    from liveness.runs.finding import find_runs

    outputs = replace(_outputs(figures, form, html, map_file, zoom), csv=csv_folder, latex=latex_folder)
    runs = list({run.path.resolve(): run for path in paths for run in find_runs(path)}.values())
    scope = _scope(within, by, prefix_data, alive24=outputs.has_map)
    outputs.check()
    if output_file is not None:
        check_output(output_file, "the results")
    left: list[LivenessError] = []
    results = analyze_runs(runs, scope, left.append if len(runs) > 1 else None, across=across)
    for error in left:
        log.warning(f"{error}: left out")
    for run in results.runs:
        for warning in warnings_of(run.manifest):
            log.warning(warning)
    for warning in [] if results.origins is None else results.origins.warnings():
        log.warning(warning)
    for entry in results.left_out:
        log.warning(f"{entry.run}: not compared with other runs: {entry.reason}")
    if outputs:
        _draw(outputs, results, top)
        if output_file is None and not as_json:
            return
    print_results(output_file, as_json=as_json, document=lambda: encode(results), tables=report_tables(results, top))


def _outputs(
    figures: Path | None, form: str | None, html: Path | None, map_file: Path | None, zoom: tuple[str, ...]
) -> "Outputs":
    """Return the files to be written."""
    from liveness.report.options import FORMATS, Outputs, octet_of

    check_format(form, figures)
    if zoom and map_file is None and html is None:
        raise click.UsageError("--zoom goes with --map or --html")
    try:
        zooms = tuple(dict.fromkeys(octet_of(octet) for octet in zoom))
    except ValueError as problem:
        raise UsageError(f"--zoom: {problem}") from None
    return Outputs(figures, FORMATS[form or "svg"], html, map_file, zooms)


def _draw(outputs: "Outputs", results: "Results", top: int) -> None:
    """Write figures, page and map, and log what was written."""
    from liveness.report.files import write_report

    for line in write_report(outputs, results, top):
        log.info(f"wrote {line}")


def _scope(within: tuple[str, ...], by: str | None, prefix_data: Path | None, *, alive24: bool) -> "Scope":
    """Return the scope that the options describe."""
    from liveness.analysis.counting.prefix_data import partition_by
    from liveness.analysis.counting.scope import Scope

    if prefix_data is not None and by in (None, "prefix8"):
        raise click.UsageError("--prefix-data goes with --by asn or --by country")
    return Scope(
        within=_within(within) if within else None,
        partition=None if by is None else partition_by(by, prefix_data),
        alive24=alive24,
    )


def _within(given: tuple[str, ...]) -> "Within":
    """Return the addresses of prefixes, ranges, addresses and list files. The name of a file may have a comma."""
    from liveness.analysis.counting.scope import Within
    from liveness.config.load import read_entries
    from liveness.space.addresses import ENTRY, parse_entry

    entries = [
        entry.strip()
        for text in given
        for entry in ([text] if Path(text).is_file() else text.split(","))
        if entry.strip()
    ]
    for entry in entries:
        if not Path(entry).exists() and ENTRY.fullmatch(entry):
            try:
                parse_entry(entry)
            except ValueError as problem:  # it looks like an address: an error about a missing file would mislead
                raise UsageError(f"--within: {problem}") from None
    intervals = read_entries(entries)
    if intervals.count == 0:
        raise UsageError(f"--within {','.join(given)!r}: no address in it")
    return Within(tuple(entries), intervals)
