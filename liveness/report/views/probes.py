"""The probes as a table and as a document: what each sends, and what counts as a reply."""

from collections.abc import Sequence

from liveness.analysis.tables import Column, Table
from liveness.probes.probe import Probe


def probe_table(probes: Sequence[Probe]) -> Table:
    """Return the probes with the replies that each accepts."""
    rows = [
        (
            probe.name,
            probe.fields,
            probe.payload,
            "\n".join(f"{kind.label}: {text}" for kind, text in probe.replies.items()),
        )
        for probe in probes
    ]
    headings = ("probe", "cookie in", "payload", "what counts as a reply")
    return Table("probes", "Probes", tuple(map(Column, headings)), rows, ruled=True)


def probe_document(probe: Probe) -> dict[str, object]:
    """Return a probe for the JSON document."""
    return {
        "name": probe.name,
        "protocol": probe.method,
        "port": probe.port or None,
        "fields": probe.fields,
        "payload": probe.payload,
        "replies": {kind.label: text for kind, text in probe.replies.items()},
    }
