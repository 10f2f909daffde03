"""Owns the report of a run: analysed, compared with the last complete one, and written into the census' directory."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from liveness.analysis.document import encode
from liveness.analysis.opened import verified_in
from liveness.analysis.results import Results, analyze_sets
from liveness.census.home import DOCUMENT_FILE, TABLES_FILE, Home
from liveness.errors import LivenessError, UsageError
from liveness.ipsets.atomic import write_atomically
from liveness.report.text import tables_text
from liveness.store.rundir import RunDirectory


def write_report(folder: Path, results: Results) -> None:
    """Write the files of a report. Raises LivenessError that names what cannot be written."""
    write_atomically(folder / TABLES_FILE, tables_text(results).encode())
    write_atomically(folder / DOCUMENT_FILE, encode(results))  # the last: where it lies the report is whole


def compare(runs: Sequence[RunDirectory]) -> Results:
    """Analyse runs in the order given, whatever their clocks said, each compared with the one before.

    Raises LivenessError that names the first file that is missing or damaged.
    """
    return analyze_sets([(run.read_manifest(), verified_in(run)) for run in runs])


def report_again(home: Home, run_id: str, warn: Callable[[str], None]) -> Path:
    """Make the report of a run anew, from its sets as they are now, and return its folder.

    Raises UsageError for a run that this census did not take or that is not complete, RefusedError where the census is
    running, and what `analyze_with` does.
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
            home.report(run_id),
            analyze_with(home.run(run_id), None if before is None else home.run(before.run_id), warn),
        )
    finally:
        os.close(lock)
    return home.report(run_id)


def analyze_with(run: RunDirectory, before: RunDirectory | None, warn: Callable[[str], None]) -> Results:
    """Analyse a run, compared with the one before it.

    Raises LivenessError where a set of the run is damaged. Damage to the run before is told to `warn`, and the results
    go without the comparison.
    """
    damage = ""
    if before is not None:
        try:
            return compare([before, run])
        except LivenessError as error:
            damage = str(error)
    results = compare([run])
    if before is not None:
        warn(f"{before.path}: not compared with: {damage}")
    return results
