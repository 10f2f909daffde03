"""``liveness replies``: the log of replies, summarised or queried with SQL."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from liveness import log
from liveness.cli.interrupts import interrupts
from liveness.errors import one_line

if TYPE_CHECKING:
    from liveness.replylog.replytable import Answer, ReplyTable

TABLE_ROWS = 1000

BY_KIND = """
SELECT probe, kind || coalesce('-' || icmp_type || '-' || icmp_code, '') AS reply, count(*) AS messages,
    count(*) FILTER (tier = 'weak') AS weak, count(DISTINCT target_number) AS targets,
    count(DISTINCT source_number) AS sources
FROM replies GROUP BY probe, kind, icmp_type, icmp_code ORDER BY probe, kind, icmp_type, icmp_code
"""
SPAN = "SELECT count(*) AS replies, min(time) AS first, max(time) AS last FROM replies"
RTT = """
SELECT probe, count(*) AS replies, min(rtt_ms) AS min, quantile_cont(rtt_ms, 0.25) AS p25, median(rtt_ms) AS median,
    quantile_cont(rtt_ms, 0.75) AS p75, quantile_cont(rtt_ms, 0.9) AS p90, quantile_cont(rtt_ms, 0.99) AS p99,
    max(rtt_ms) AS max
FROM rtt GROUP BY probe ORDER BY probe
"""


@click.command("replies")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--sql", metavar="QUERY", help="Query to run on the views replies, errors and rtt; - reads it from stdin."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
def command(path: Path, sql: str | None, *, as_json: bool, as_csv: bool) -> None:
    """Sum up the log of replies in PATH, or query it with SQL (DuckDB's).

    PATH is a run directory, a directory of Parquet files, or one such file. Views: replies (a row a reply), errors
    (ICMP errors alone), rtt (those whose round-trip time is known); DESCRIBE replies lists the columns. Nothing is
    fetched from anywhere, and nothing written.
    """
    from liveness.replylog.replytable import ReplyTable

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
            _print_summary_document(path, table)
        else:
            _print_summary(table)


def _print_answer(answer: "Answer", *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        _print_answer_document(answer)
    elif as_csv:
        _print_csv(answer)
    else:
        _print_lines(answer)


def _objects(answer: "Answer") -> Iterator[dict[str, Any]]:
    return (dict(zip(answer.columns, row, strict=True)) for row in answer.rows)


def _print_document(document: dict[str, Any]) -> None:
    import msgspec

    encoded = msgspec.json.encode(document, enc_hook=str)  # types that JSON lacks become text, infinite numbers null
    click.echo(msgspec.json.format(encoded, indent=2))


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

    rows = list(islice(answer.rows, TABLE_ROWS))
    cells = [["" if value is None else one_line(str(value).replace("\n", " ")) for value in row] for row in rows]
    numeric = [all(isinstance(row[at], (int, float)) for row in rows) for at in range(len(answer.columns))]
    widths = [max(map(len, column)) for column in zip(answer.columns, *cells, strict=True)]
    for line in (answer.columns, ["-" * width for width in widths], *cells) if answer.columns else ():
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        click.echo("  ".join(padded).rstrip())
    if next(answer.rows, None) is not None:
        log.info(f"only the first {TABLE_ROWS:,} rows are shown: --csv and --json print all")


def _print_summary(table: "ReplyTable") -> None:
    from rich import box

    from liveness.cli.display import OutputConsole
    from liveness.report.fitted import FittedTable

    ((replies, first, last),) = table.query(SPAN).rows
    if not replies:
        click.echo("no reply in this log")
        return
    click.echo(f"{replies:,} replies from {first} to {last} (UTC)")
    for title, query in (("Replies", BY_KIND), ("Round-trip times in ms, where known", RTT)):
        answer = table.query(query)
        shown = FittedTable(title=title, title_justify="left", box=box.SIMPLE)
        for name in answer.columns:
            shown.add_column(name, justify="left" if name in ("probe", "reply") else "right")
        for row in answer.rows:
            shown.add_row(*(_number(value) for value in row))
        OutputConsole().print(shown)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return f"{value:,}" if isinstance(value, int) else one_line(str(value))


def _print_summary_document(path: Path, table: "ReplyTable") -> None:
    (span,) = _objects(table.query(SPAN))
    document = {
        "schema": 1,
        "path": str(path),
        "first": span["first"],
        "last": span["last"],
        "replies": list(_objects(table.query(BY_KIND))),
        "rtt_ms": list(_objects(table.query(RTT))),
    }
    _print_document(document)
