"""Tables of origins of remotes: countries and autonomous systems."""

from typing import Final

from liveness.analysis.numbers import count, percent
from liveness.analysis.tables import Table
from liveness.report.layout import text_table
from liveness.report.passive.document import MOST_ROWS, UNKNOWN, Document, share_of

ORIGINS: Final = {"country": "Countries", "asn": "Autonomous systems"}


def sources_table(document: Document, name: str) -> Table:
    """Return where inbound one-way flows come from."""
    sources, flows = document["sources"][name], document["totals"]["one_way"]["flows"]
    rows = []
    for each in sources[:MOST_ROWS]:
        common = max(each["classes"], key=lambda kind: each["classes"][kind]) if each["classes"] else ""
        number = each["classes"].get(common, 0)
        rows.append([
            each["origin"] or UNKNOWN, count(each["flows"]), share_of(each["flows"], flows), count(each["packets"]),
            f"{common} {share_of(number, each['flows'])}",
        ])  # fmt: skip
    return text_table(
        f"sources_{name}",
        f"{ORIGINS.get(name, name)} of inbound one-way flows: {len(sources)}",
        [name, "flows", "share", "packets", "commonest class"],
        rows,
        ["of the remote address, by the config's data on prefixes; shares are of inbound one-way flows"],
        frozenset({0, 4}),
    )


def services_table(document: Document, name: str) -> Table:
    """Return where the clients of services come from that fail for some of them."""
    rows = [
        [
            each["service"], each["origin"] or UNKNOWN, count(each["clients_ok"]), count(each["clients_failed"]),
            percent(each["failed_share"]),
        ]
        for each in document["services_by_origin"][name][:MOST_ROWS]
    ]  # fmt: skip
    return text_table(
        f"services_{name}",
        f"Clients of services that failed, by {'country' if name == 'country' else 'autonomous system'}",
        ["service", name, "clients ok", "failed", "failed share"],
        rows,
        ["of services with failed clients, those with most first"],
        frozenset({0, 1}),
    )
