"""What the benchmarks print: one JSON document, or a table."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

PIPE_COLUMNS: Final = 120

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def print_json(name: str, document: dict[str, Any]) -> None:
    """Print the document of one benchmark under its name."""
    click.echo(json.dumps({name: document}, indent=2))


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], words: int = 1) -> None:
    """Print a table whose first `words` columns are words and the rest numbers."""
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < words else "right")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)


def print_facts(title: str, document: dict[str, Any]) -> None:
    """Print a document of plain numbers, a line each; lists in it are left out."""
    facts = {name.replace("_", " "): value for name, value in document.items() if not isinstance(value, list)}
    rows = [
        (name, ("yes" if value else "no") if isinstance(value, bool) else f"{value:,}") for name, value in facts.items()
    ]
    print_table(title, ("what", "how much"), rows)
