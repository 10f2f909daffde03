"""Results of a passive run as CSV: a file for each table, with plain numbers and one line for each thing."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from liveness.files.atomic import write_atomically
from liveness.report.files import made
from liveness.report.passive.document import Document
from liveness.report.passive.tables import halves

Rows = Iterable[Sequence[Any]]
SUMS = ("flows", "packets", "bytes")
DIRECTIONS = ("two_way", "one_way", "one_way_out")


def write_passive_csv(document: Document, folder: Path) -> list[Path]:
    """Write all tables into a folder; return the files. LivenessError that names the file that cannot be written."""
    made(folder, "CSV files")
    written = []
    for name, columns, rows in passive_csv(document):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(rows)
        written.append(folder / f"{name}.csv")
        write_atomically(written[-1], text.getvalue().encode())
    return written


def passive_csv(document: Document) -> Iterator[tuple[str, Sequence[str], Rows]]:
    """Yield name, columns and rows of each table. None has a remote address."""
    intervals, services = document["intervals"], document["services"]
    yield "records", ("reason", "records"), _records(document["records"])
    yield "totals", ("what", *SUMS), _sums(document["totals"])
    yield (
        "intervals",
        ("start", "what", *SUMS),
        ((interval["start"], *row) for interval in intervals for row in _sums(interval)),
    )
    yield "signs", ("sign", "flows"), document["totals"]["signs"].items()
    yield (
        "ports",
        ("start", "port", "flows"),
        ((interval["start"], *row) for interval in intervals for row in interval["ports"].items()),
    )
    yield _plain("rules", document.get("rule_hits", ()), ("rule", "class", "signs", "matched", "decided"))
    yield (
        "combinations",
        ("signs", "rules", "class", "conflict", *SUMS),
        (
            (
                _words(each["signs"]),
                _words(each["rules"]),
                each["class"],
                int(each["conflict"]),
                *_of(each),
            )
            for each in document["combinations"]
        ),
    )
    yield (
        "services",
        ("service", "clients_ok", "clients_failed", "failed_share", "first_half", "second_half", "scanners_left_out"),
        (
            (each["service"], each["clients_ok"], each["clients_failed"], each["failed_share"],
             *halves(document, each), each["scanners_left_out"])
            for each in services
        ),
    )  # fmt: skip
    yield (
        "service_intervals",
        ("service", "start", "clients_ok", "clients_failed"),
        (
            (each["service"], interval["start"], interval["clients_ok"], interval["clients_failed"])
            for each in services
            for interval in each["intervals"]
        ),
    )
    yield (
        "outages",
        ("start", "end", "clients", "services"),
        ((each["start"], each["end"], each["clients"], _words(each["services"])) for each in document["outages"]),
    )
    yield from _exporters(document)
    yield from _origins(document)


def _exporters(document: Document) -> Iterator[tuple[str, Sequence[str], Rows]]:
    """Yield the tables of exporters, and of the copies that two of them reported."""
    columns = ("exporter", "records", "invalid", "duplicates", "sampling", "first", "newest", "intervals",
               "silent_intervals")  # fmt: skip
    yield _plain("exporters", document.get("exporters", ()), columns)
    yield (
        "exporter_intervals",
        ("start", "exporter", "records"),
        (
            (interval["start"], *row)
            for interval in document["intervals"]
            for row in interval.get("exporters", {}).items()
        ),
    )
    yield (
        "duplicate_pairs",
        ("exporter", "other", "records", "second_starts_later_s"),
        (
            (*each["exporters"], each["records"], each.get("second_starts_later_s"))
            for each in document.get("duplicate_pairs", ())
        ),
    )


def _origins(document: Document) -> Iterator[tuple[str, Sequence[str], Rows]]:
    """Yield the tables of local addresses, and of remotes and services by where remotes are."""
    classes = tuple(document["totals"]["classes"])
    if document.get("local_addresses"):
        yield "local_addresses", ("what", "addresses"), document["local_addresses"].items()
    for name, sources in document.get("sources", {}).items():
        rows = ((each["origin"], *_of(each), *(each["classes"].get(kind, 0) for kind in classes)) for each in sources)
        yield f"sources_{name}", (name, *SUMS, *classes), rows
    for name, found in document.get("services_by_origin", {}).items():
        yield _plain(f"services_{name}", found, ("service", "origin", "clients_ok", "clients_failed", "failed_share"))


def _plain(name: str, found: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> tuple[str, Sequence[str], Rows]:
    """Return the table of things with the same keys."""
    return name, columns, ([each.get(column) for column in columns] for each in found)


def _words(parts: Iterable[object]) -> str:
    return " ".join(map(str, parts))


def _of(sums: Mapping[str, int]) -> list[int]:
    return [sums[name] for name in SUMS]


def _sums(totals: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Yield the sums of directions and of classes."""
    for name in DIRECTIONS:
        yield name, *_of(totals[name])
    for name, sums in totals["classes"].items():
        yield name, *_of(sums)


def _records(records: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    for name, number in records.items():
        if isinstance(number, Mapping):
            for reason, count in number.items():
                yield f"{name}: {reason}", count
        else:
            yield name, number
