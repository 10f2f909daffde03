"""Tables as plain text, in lines of 120 columns and without escape codes, for a file or a mail."""

import io
from collections.abc import Iterable
from typing import Final

from rich.console import Console, RenderableType

from liveness.analysis.results import Results
from liveness.analysis.tables import Table
from liveness.report.layout import laid_out
from liveness.report.tables import report_tables

WIDTH: Final = 120


def plain_text(tables: Iterable[Table | RenderableType]) -> str:
    """Return tables one after the other."""
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None, force_terminal=False)
    with console.capture() as captured:
        for table in laid_out(tables):
            console.print(table)
    return captured.get()


def tables_text(results: Results) -> str:
    """Return all tables of the results."""
    return plain_text(report_tables(results))
