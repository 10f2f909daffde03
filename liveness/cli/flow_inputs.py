"""The flow files that a command reads: its argument and the options for reading them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click

from liveness.cli.interrupts import interrupts
from liveness.errors import UsageError

if TYPE_CHECKING:
    from liveness.flows.formats import Options
    from liveness.flows.record import Flows, Notes

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Inputs:
    """The flow files of a command, and the options for reading them."""

    files: tuple[str, ...]
    format_name: str | None
    ports: tuple[int, ...]
    columns: tuple[str, ...]

    def options(self) -> "Options":
        """Return the options of readers. UsageError for a column that is not of the form OURS=THEIRS."""
        from liveness.flows.formats import Options

        names = {}
        for column in self.columns:
            ours, equals, theirs = column.partition("=")
            if not equals or not theirs:
                raise UsageError(f"--column {column}: not of the form OURS=THEIRS, as in src=srcaddr")
            names[ours] = theirs
        return Options(self.ports, names)

    def read(self, notes: "Notes") -> "Iterator[Flows]":
        """Return the flows of all files in batches."""
        from liveness.flows.formats import read_all

        return read_all(self.files, self.format_name, notes, self.options())


FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...")


def takes_inputs(function: Callable[Concatenate[Inputs, P], None]) -> Callable[..., None]:
    """Add the argument and the options for reading flow files to a command, which receives them as `inputs`."""

    @FILES
    @click.option(
        "--from", "format_name", metavar="FORMAT", help="What the files are, if their first bytes do not show it."
    )
    @click.option(
        "--export-port",
        "ports",
        multiple=True,
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Take captures as captures of exports, to this UDP port or one of the usual ones; may be repeated.",
    )
    @click.option(
        "--column", "columns", multiple=True, metavar="OURS=THEIRS",
        help="What a CSV or Parquet file calls one of our columns; may be repeated.",
    )  # fmt: skip
    @wraps(function)
    def command(
        files: tuple[str, ...],
        format_name: str | None,
        ports: tuple[int, ...],
        columns: tuple[str, ...],
        *arguments: P.args,
        **others: P.kwargs,
    ) -> None:
        with interrupts.ending_queries_soon():
            function(Inputs(files, format_name, ports, columns), *arguments, **others)

    return command
