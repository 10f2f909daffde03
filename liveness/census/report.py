"""The report of a run: its analysis, compared with the run before, and its files: text tables, a page, a document."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from liveness.analysis.counting.opened import verified_in
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.scope import WHOLE, Scope
from liveness.analysis.document import encode
from liveness.analysis.results import Results, analyze_sets
from liveness.census.history import PastRun
from liveness.census.home import DOCUMENT_FILE, PAGE_FILE, TABLES_FILE, Home
from liveness.errors import LivenessError, UsageError, one_line
from liveness.files.reading import read_bytes
from liveness.report.page.page import report_page
from liveness.report.text import tables_text
from liveness.runs.rundir import RunDirectory


def compare(runs: Sequence[RunDirectory], scope: Scope = WHOLE) -> Results:
    """Analyse runs in the order given, whatever their start times, each compared with the previous one.

    Raises LivenessError that names the first file that is missing or damaged.
    """
    manifests = [run.read_manifest() for run in runs]
    probed = [Probed.by(manifest, run) for manifest, run in zip(manifests, runs, strict=True)]
    pairs = [(manifest, verified_in(run)) for manifest, run in zip(manifests, runs, strict=True)]
    return analyze_sets(pairs, scope, probed=probed)


def analyze_with(run: RunDirectory, before: RunDirectory | None, warn: Callable[[str], None]) -> Results:
    """Analyse a run for its report, compared with the run before it (None: not compared).

    Raises LivenessError if a set of the run is damaged. If the run before is damaged, `warn` is called and the results
    lack the comparison.
    """
    by24 = Scope(alive24=True)  # the report's map shows /24s
    damage = ""
    if before is not None:
        try:
            return compare([before, run], by24)
        except LivenessError as error:
            damage = str(error)
    results = compare([run], by24)
    if before is not None:
        warn(f"{before.path}: not compared with: {damage}")
    return results


def write_report(home: Home, run_id: str, results: Results) -> None:
    """Write the files of a run's report. Raises LivenessError that names what cannot be written."""
    latest = replace(results, runs=results.runs[-1:])  # tables: only this run; the run before has its own report
    home.write_report(run_id, TABLES_FILE, tables_text(latest).encode())
    home.write_report(run_id, PAGE_FILE, report_page(results).encode())
    home.write_report(run_id, DOCUMENT_FILE, encode(results))  # written last: it marks a report as complete


def report_again(home: Home, run_id: str, warn: Callable[[str], None]) -> Path:
    """Write the report of a run again from its current sets, and return the report's directory.

    Raises UsageError for a run that is not a complete run of this census, RefusedError if the census is running, and
    the errors of `analyze_with`.
    """
    lock = home.lock()
    try:
        records = home.records(lambda error: warn(str(error)))
        record = next((record for record in records if record.run_id == run_id), None)
        if record is None or record.state != "reported" or not home.is_complete(run_id):
            raise UsageError(
                f"{home.run(run_id).path}: not a complete run of a census: liveness analyze reports on any"
            )
        before = home.last_complete(records, record.number)
        write_report(
            home,
            run_id,
            analyze_with(home.run(run_id), None if before is None else home.run(before.run_id), warn),
        )
    finally:
        os.close(lock)
    return home.report(run_id)


def report_lines(past: PastRun) -> list[str] | None:
    """Return the tables of a run's report, each line made printable; None if the census has written no report."""
    tables = past.home.report(past.run_id) / TABLES_FILE
    try:
        text = read_bytes(tables).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise UsageError(f"{tables}: cannot read this report: {problem.strerror}") from problem
    return [one_line(line) for line in text.splitlines()]
