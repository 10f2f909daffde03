"""Report of a run in the census directory: text tables, an HTML page and a JSON document."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from liveness.analysis.document import encode
from liveness.analysis.results import Results
from liveness.census.comparing import analyze_with
from liveness.census.history import PastRun
from liveness.census.home import DOCUMENT_FILE, PAGE_FILE, TABLES_FILE, Home
from liveness.errors import UsageError, one_line
from liveness.files.reading import read_bytes
from liveness.report.page.page import report_page
from liveness.report.text import tables_text


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
