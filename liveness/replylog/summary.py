"""Summary of a log of replies: its span, replies by probe and kind, and round-trip times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from liveness.replylog.replytable import ReplyTable

BY_KIND: Final = """
SELECT probe, kind || coalesce('-' || icmp_type || '-' || icmp_code, '') AS reply, count(*) AS messages,
    count(*) FILTER (tier = 'weak') AS weak, count(DISTINCT target_number) AS targets,
    count(DISTINCT source_number) AS sources
FROM replies GROUP BY probe, kind, icmp_type, icmp_code ORDER BY probe, kind, icmp_type, icmp_code
"""
BY_PROTOCOL: Final = """
SELECT probe, protocol, count(*) AS messages, count(DISTINCT target_number) AS targets
FROM replies WHERE protocol IS NOT NULL GROUP BY probe, protocol ORDER BY probe, messages DESC, protocol
"""
SPAN: Final = "SELECT count(*) AS replies, min(time) AS first, max(time) AS last FROM replies"
RTT: Final = """
SELECT probe, count(*) AS replies, min(rtt_ms) AS min, quantile_cont(rtt_ms, 0.25) AS p25, median(rtt_ms) AS median,
    quantile_cont(rtt_ms, 0.75) AS p75, quantile_cont(rtt_ms, 0.9) AS p90, quantile_cont(rtt_ms, 0.99) AS p99,
    max(rtt_ms) AS max
FROM rtt GROUP BY probe ORDER BY probe
"""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What a log has: messages by probe and kind of reply, quantiles of round-trip times in ms, protocols of data."""

    replies: int
    first: Any
    last: Any
    by_kind: Sequence[Row]
    rtt_ms: Sequence[Row]
    protocols: Sequence[Row] = ()

    def document(self, path: str) -> Row:
        """Return the summary as a JSON document."""
        return {
            "schema": 1,
            "path": path,
            "first": self.first,
            "last": self.last,
            "replies": self.by_kind,
            "rtt_ms": self.rtt_ms,
            **({"protocols": self.protocols} if self.protocols else {}),
        }


def summarised(table: ReplyTable) -> LogSummary:
    """Return the summary of a log."""
    (span,) = _objects(table, SPAN)
    by_kind, rtt_ms, protocols = (_objects(table, query) for query in (BY_KIND, RTT, BY_PROTOCOL))
    return LogSummary(span["replies"], span["first"], span["last"], by_kind, rtt_ms, protocols)


def _objects(table: ReplyTable, query: str) -> list[Row]:
    answer = table.query(query)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
