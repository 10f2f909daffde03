"""The summary of a log of replies as tables."""

from collections.abc import Iterator

from liveness.analysis.tables import Column, Table
from liveness.errors import one_line
from liveness.replylog.summary import LogSummary, Row

COUNTS = ("messages", "weak", "targets", "sources")
QUANTILES = ("min", "p25", "median", "p75", "p90", "p99", "max")


def reply_tables(summary: LogSummary) -> Iterator[Table]:
    """Yield replies by probe and kind, protocols of data if any, and quantiles of round-trip times by probe."""
    yield Table(
        "replies",
        "Replies",
        (Column("probe"), Column("reply"), *(Column(name, name) for name in COUNTS)),
        [(_name(row["probe"]), _name(row["reply"]), *(row[name] for name in COUNTS)) for row in summary.by_kind],
        ["messages: packets; targets and sources: distinct addresses."],
    )
    if summary.protocols:
        yield Table(
            "protocols",
            "Protocols of TCP services",
            (Column("probe"), Column("protocol"), Column("messages", "messages"), Column("targets", "targets")),
            [
                (_name(row["probe"]), _name(row["protocol"]), row["messages"], row["targets"])
                for row in summary.protocols
            ],
            ["messages: segments with data; targets: distinct addresses."],
        )
    yield Table(
        "rtt",
        "Round-trip times in ms, where known",
        (Column("probe"), Column("replies", "packets"), *(Column(name, "ms") for name in QUANTILES)),
        [_times(row) for row in summary.rtt_ms],
    )


def _times(row: Row) -> tuple[str | int, ...]:
    return (_name(row["probe"]), row["replies"], *(f"{row[name]:,.3f}" for name in QUANTILES))


def _name(text: str | None) -> str:
    """Return a name as it may be printed. A damaged reply has a probe or a kind whose number means nothing."""
    return "unknown" if text is None else one_line(text)
