"""Descriptions of set files as aligned lines."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields

from liveness.analysis.tables import printed
from liveness.ipsets.description import SetDescription
from liveness.report.views.aligned import aligned


def description_lines(described: Sequence[SetDescription]) -> Iterator[str]:
    """Yield a heading, and a line for each file."""
    names = [field.name for field in fields(SetDescription)]
    rows = [[printed(value) for value in astuple(description)] for description in described]
    return aligned([names, *rows], [False] * len(names))
