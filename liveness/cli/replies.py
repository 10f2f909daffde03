"""``liveness replies``: the log of replies, summarised or queried with SQL."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from liveness import log
from liveness.cli.interrupts import interrupts
from liveness.cli.options import AS_JSON
from liveness.errors import one_line

if TYPE_CHECKING:
    from liveness.replylog.replytable import Answer
    from liveness.replylog.summary import LogSummary

TABLE_ROWS = 1000


@click.command("replies")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--sql", metavar="QUERY", help="Query to run on the views replies, errors and rtt; - reads it from stdin."
)
@AS_JSON
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
def command(path: Path, sql: str | None, *, as_json: bool, as_csv: bool) -> None:
    """Sum up the log of replies in PATH, or query it with SQL (DuckDB's).

    PATH is a run directory, a directory of Parquet files, or one such file. Views: replies (a row a reply), errors
    (ICMP errors alone), rtt (those whose round-trip time is known); DESCRIBE replies lists the columns. Nothing is
    fetched from anywhere, and nothing written.
    """
    from liveness.cli.printing import print_document
    from liveness.replylog.replytable import ReplyTable
    from liveness.replylog.summary import BY_KIND, summarised

    if as_json and as_csv:
        raise click.UsageError("--json and --csv: give one of them")
    with ReplyTable(path) as table:
        click.get_current_context().with_resource(interrupts.ending_soon(table.stop))
        if table.cut_bytes:
            log.warning(f"{path}: {table.cut_bytes} bytes of a reply cut short are left out")
        if sql is not None:
            answer = table.query(sys.stdin.read() if sql == "-" else sql)
            _print_answer(answer, as_json=as_json, as_csv=as_csv)
        elif as_csv:
            _print_csv(table.query(BY_KIND))
        elif as_json:
            print_document(summarised(table).document(str(path)))
        else:
            _print_summary(summarised(table))


def _print_answer(answer: "Answer", *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        _print_answer_document(answer)
    elif as_csv:
        _print_csv(answer)
    else:
        _print_lines(answer)


def _objects(answer: "Answer") -> Iterator[dict[str, Any]]:
    return (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)


def _print_answer_document(answer: "Answer") -> None:
    """Print one document, one row a line, as rows arrive: there may be more rows than memory can hold."""
    import msgspec

    encode = msgspec.json.Encoder(enc_hook=str).encode
    write = sys.stdout.write
    write(f'{{\n  "schema": 1,\n  "columns": {encode(answer.columns).decode()},\n  "rows": [')
    between = "\n    "
    for row in _objects(answer):
        write(between + encode(row).decode())
        between = ",\n    "
    write("\n  ]\n}\n")


def _print_csv(answer: "Answer") -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if answer.columns:
        writer.writerow(answer.columns)
    writer.writerows(answer.rows)


def _print_lines(answer: "Answer") -> None:
    """Print the first rows in columns of the necessary width, numbers right-aligned."""
    from itertools import islice

    from liveness.report.views.aligned import aligned

    rows = list(islice(answer.rows, TABLE_ROWS))
    cells = [["" if value is None else one_line(str(value).replace("\n", " ")) for value in row] for row in rows]
    numeric = [all(isinstance(row[at], (int, float)) for row in rows) for at in range(len(answer.columns))]
    heading = [
        list(answer.columns),
        ["-" * max(map(len, column)) for column in zip(answer.columns, *cells, strict=True)],
    ]
    for line in aligned([*heading, *cells] if answer.columns else [], numeric):
        click.echo(line)
    if next(answer.rows, None) is not None:
        log.info(f"only the first {TABLE_ROWS:,} rows are shown: --csv and --json print all")


def _print_summary(summary: "LogSummary") -> None:
    from liveness.cli.printing import print_tables
    from liveness.report.views.replies import reply_tables

    if not summary.replies:
        click.echo("no reply in this log")
        return
    click.echo(f"{summary.replies:,} replies from {summary.first} to {summary.last} (UTC)")
    print_tables(reply_tables(summary))
