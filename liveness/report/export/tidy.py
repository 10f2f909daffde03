"""Tables as tidy CSV: one number per line, with its keys, unit, denominator and interval."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from liveness.analysis.results import Results
from liveness.analysis.tables import Datum, Table
from liveness.report.comparison import comparison_table
from liveness.report.page.provenance import provenance_table

COLUMNS: Final = ("quantity", "value", "unit", "denominator", "denominator_value", "low_95", "high_95")
"""The columns of every file, after the key columns."""


def csv_files(results: Results) -> Iterator[tuple[str, str]]:
    """Yield name and text (RFC 4180) of each file; a file has the tables of one id, of all runs."""
    yield from csv_of(_tables(results))


def csv_of(tables: Iterable[tuple[Mapping[str, str], Table]]) -> Iterator[tuple[str, str]]:
    """Yield name and text (RFC 4180) of a file for each id of a table; each table has further keys of its rows."""
    files: dict[str, list[Datum]] = {}
    for keys, table in tables:
        numbers = (replace(datum, keys={**keys, **datum.keys}) for datum in table.tidy())
        files.setdefault(table.id, []).extend(numbers)
    for name, data in files.items():
        yield name, _csv(data)


def _tables(results: Results) -> Iterator[tuple[Mapping[str, str], Table]]:
    """Yield all tables; those of a run have its name as a key."""
    for run in results.runs:
        keys = {"run": run.manifest.run}
        for table in (provenance_table(run.manifest, run), comparison_table(run), *run.tables()):
            yield keys, table
    for table in results.tables():
        yield {}, table


def _csv(data: list[Datum]) -> str:
    """Return the lines of one file, the header first."""
    keys = list(dict.fromkeys(key for datum in data for key in datum.keys))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*keys, *COLUMNS))
    for datum in data:
        numbers = (datum.quantity, datum.value, datum.unit, datum.of, datum.whole, datum.low, datum.high)
        writer.writerow((*(datum.keys.get(key, "") for key in keys), *numbers))
    return text.getvalue()
