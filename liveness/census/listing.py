"""All runs of a census as a table: how each ended, what it found, and what is kept of it."""

from collections.abc import Sequence

from liveness.analysis.numbers import ABSENT, span
from liveness.analysis.tables import Cell, Column, Table
from liveness.census.history import PastRun

COLUMNS = (
    Column("run"),
    Column("status"),
    *(Column(name, "addresses") for name in ("targets", "alive", "born", "died")),
    Column("took", "time"),
    Column("kept"),
    Column("alarms"),
)


def run_table(past_runs: Sequence[PastRun]) -> Table:
    """Return the runs in the given order. The table has no title: it is a list."""
    return Table("runs", "", COLUMNS, [_row(past) for past in past_runs])


def _row(past: PastRun) -> tuple[Cell, ...]:
    record, manifest = past.record, past.manifest
    targets = manifest.targets if manifest is not None else None if record is None else record.targets
    numbers = (None, None, None) if record is None else (record.alive, record.born, record.died)
    took = ABSENT if record is None or record.took_s is None else span(record.took_s)
    return (past.name, past.status, targets, *numbers, took, ", ".join(past.kept) or ABSENT, past.alarms)
