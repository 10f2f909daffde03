"""Options that several commands have, and the decorator that adds a group of options to a command."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

LONGEST_S = 1e9


class Finite(click.FloatRange):
    """A number in a range, which "nan" is not: it is neither below a limit nor above."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - as click has it
        """Return the number; fail for one that is not finite."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
JSON_NOT_TABLES = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
OUTPUT_FILE = click.option(
    "-o", "--output-file", type=click.Path(path_type=Path), help="Write to this file, not to stdout."
)
FORMAT = click.option(
    "--format", "form", type=click.Choice(["svg", "png", "both"]), help="What --figures are drawn as: svg if not given."
)
LATEX = click.option(
    "--latex",
    "latex_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write every table into this directory as LaTeX (booktabs), and tables.tex, which has all of them.",
)


def figures_option(what: str = "Draw the figures into this directory.") -> Callable[[Any], Any]:
    """Return the option for the folder of figures, with its help text."""
    return click.option("--figures", type=click.Path(path_type=Path), metavar="DIR", help=what)


def html_option(what: str = "Write one HTML file that needs no other.") -> Callable[[Any], Any]:
    """Return the option for the page of a report, with its help text."""
    return click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help=what)


def csv_option(what: str) -> Callable[[Any], Any]:
    """Return the option for the folder of CSV files, with its help text."""
    return click.option("--csv", "csv_folder", type=click.Path(path_type=Path), metavar="DIR", help=what)


def check_format(form: str | None, figures: Path | None) -> None:
    """Raise UsageError for a format of figures without figures."""
    if form is not None and figures is None:
        raise click.UsageError("--format goes with --figures")


def with_options(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Add several options to a command, listed in this order."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
