"""The report as plain text: every table in lines of 120 columns, for a file or a mail."""

import io
from typing import Final

from rich.console import Console

from liveness.analysis.results import Results
from liveness.report.tables import report_tables

WIDTH: Final = 120


def tables_text(results: Results) -> str:
    """Return all tables of the results, without escape codes."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as captured:
        for table in report_tables(results):
            console.print(table)
    return captured.get()
