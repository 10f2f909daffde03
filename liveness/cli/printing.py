"""Output of commands on standard output: tables for people, JSON documents for programs."""

from math import isfinite
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rich.console import RenderableType

    from liveness.analysis.tables import Table

PIPE_COLUMNS = 120
"""The length of lines where there is no terminal."""


def print_tables(tables: "Iterable[Table | RenderableType]") -> None:
    """Print tables in the width of the terminal; lines of a pipe have PIPE_COLUMNS columns."""
    import sys

    from rich.console import Console

    from liveness.report.layout import laid_out

    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    for table in laid_out(tables):
        console.print(table)


def print_results(
    output_file: "Path | None",
    *,
    as_json: bool,
    document: "Callable[[], bytes]",
    tables: "Iterable[Table | RenderableType]",
) -> None:
    """Write the results of an analysis to a file or print them: the encoded document with `as_json`, else tables.

    Raises UsageError for a file that cannot be written.
    """
    import sys

    from liveness.files.outputs import write_output
    from liveness.report.text import plain_text

    if output_file is not None:
        write_output(output_file, document() if as_json else plain_text(tables).encode())
    elif as_json:
        sys.stdout.write(document().decode())
        sys.stdout.flush()
    else:
        print_tables(tables)


def print_document(document: object) -> None:
    """Print a JSON document, indented, in ASCII: any stream can carry it, also with file names that are not UTF-8.

    Types that JSON lacks become text; numbers that are not finite become null.
    """
    import json

    import msgspec

    click.echo(json.dumps(_finite(msgspec.to_builtins(document, enc_hook=str, str_keys=True)), indent=2))


def _finite(document: object) -> object:
    if isinstance(document, dict):
        return {key: _finite(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_finite(value) for value in document]
    return None if isinstance(document, float) and not isfinite(document) else document
