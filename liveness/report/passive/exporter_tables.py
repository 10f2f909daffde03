"""Tables of exporters: what each has sent and when, and which of them saw the same records."""

from typing import Final

from liveness.analysis.numbers import count
from liveness.analysis.tables import Table
from liveness.errors import count_of
from liveness.report.layout import text_table
from liveness.report.passive.document import MOST_ROWS, Document, share_of

SILENT: Final = "silent: intervals without a record, from the exporter's first one to the newest of all"


def exporters_table(document: Document) -> Table:
    """Return what is known of each exporter."""
    exporters = document.get("exporters", ())
    records = sum(each["records"] for each in exporters)
    rows = [
        [
            each["exporter"],
            count(each["records"]),
            share_of(each["records"], records),
            count(each.get("invalid", 0)),
            count(each.get("duplicates", 0)),
            f"1 of {count(each['sampling'])}" if each["sampling"] else "none said",
            each.get("first") or "-",
            each.get("newest") or "-",
            count(each.get("silent_intervals", 0)),
        ]
        for each in exporters
    ]
    undecoded = [f"not decoded: {count(number)} {what}" for what, number in document.get("undecoded", {}).items()]
    return text_table(
        "exporters",
        "Exporters",
        ["exporter", "records", "share", "invalid", "duplicates", "sampling", "first", "newest", "silent"],
        rows,
        [
            "invalid: impossible times, counts or addresses, by the exporter's clock or by damage",
            "duplicates: records that it and another exporter have both seen; first: an interval; newest: a record",
            SILENT,
            *undecoded,
        ],
        frozenset({0, 5, 6, 7}),
    )


def pairs_table(document: Document) -> Table:
    """Return which exporters saw the same records."""
    pairs = document["duplicate_pairs"]
    duplicates = document["records"]["duplicates"]
    rows = [
        [
            *each["exporters"],
            count(each["records"]),
            share_of(each["records"], duplicates),
            _later(each.get("second_starts_later_s")),
        ]
        for each in pairs[:MOST_ROWS]
    ]
    return text_table(
        "duplicate_pairs",
        f"Exporters that saw the same records: {count_of(len(pairs), 'pair')}",
        ["exporter", "other exporter", "duplicates", "share", "starts later"],
        rows,
        [
            "each record counts once in all results, with the larger packets and bytes of the two",
            "starts later: the other exporter's records, on average: seconds mean that the clocks differ",
        ],
        frozenset({0, 1}),
    )


def _later(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:+,.3f} s"
