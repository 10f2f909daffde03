"""What a scan found, a line for each probe, as it is shown at its end."""

from liveness.analysis.tables import Column, Share, Table
from liveness.runs.manifest import Manifest

COLUMNS = (
    Column("probe"),
    Column("sent", "packets"),
    Column("answered", "targets"),
    Column("share", "share", "targets probed"),
    Column("recovered", "targets"),
    Column("messages"),
)


def run_summary_table(manifest: Manifest) -> Table:
    """Return packets sent, targets answered for, targets recovered by repeats, and messages by kind of each probe."""
    rows = []
    for name, counts in manifest.probes.items():
        answered = sum(manifest.attempts.get(name, {}).values())
        rows.append(
            (
                name,
                sum(counts.sent),
                answered,
                Share.of_counts(answered, counts.sent[0]),
                manifest.recovered_by_retransmit.get(name, 0),
                _messages(manifest.messages.get(name, {})),
            )
        )
    return Table("summary", "", COLUMNS, rows)


def _messages(counts: dict[str, int]) -> str:
    """Return the messages of a probe by kind, with all errors in one sum."""
    kinds: dict[str, int] = {}
    for label, count in counts.items():
        kind = "errors" if label.startswith("error-") else label
        kinds[kind] = kinds.get(kind, 0) + count
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds.items())
