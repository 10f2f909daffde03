"""Tables of a passive run: records, totals, classes, signs, combinations, services, outages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from liveness.analysis.numbers import count, percent
from liveness.analysis.tables import Table
from liveness.report.layout import text_table
from liveness.report.passive.document import MOST_ROWS, Document, share_of
from liveness.report.passive.exporter_tables import exporters_table, pairs_table
from liveness.report.passive.origin_tables import services_table, sources_table

MOST_NAMED: Final = 5

CLASS_MEANINGS: Final = {
    "MalScan": "scanning",
    "OtherMal": "other malicious",
    "Backscatter": "answers to spoofed packets, ICMP",
    "SrvUnreach": "a known service did not answer",
    "BenignP2P": "peers that are gone",
    "SuspBenign": "probably benign",
    "Bogon": "from special-purpose space",
    "Other": "no rule matches",
}


def passive_tables(document: Document) -> Iterator[Table]:
    """Yield the tables of a report document."""
    yield _records(document)
    yield _directions(document)
    yield _classes(document)
    yield _signs(document)
    yield _rules(document)
    yield _combinations(document)
    yield _services(document)
    yield _outages(document)
    if document.get("local_addresses"):
        yield _local_addresses(document)
    yield exporters_table(document)
    if document.get("duplicate_pairs"):
        yield pairs_table(document)
    for name in document.get("sources", ()):
        yield sources_table(document, name)
    for name in document.get("services_by_origin", ()):
        yield services_table(document, name)


def _records(document: Document) -> Table:
    records = document["records"]
    rows = [["read", count(records["read"]), ""]]
    rows += [[f"invalid: {name}", count(number), ""] for name, number in records["invalid"].items()]
    rows += [["outside", count(records["outside"]), "both ends inside or neither"]]
    rows += [["own probes", count(records["own_probes"]), "sources of our own censuses"]]
    rows += [[f"excluded: {name}", count(number), "one-way by nature"] for name, number in records["excluded"].items()]
    rows += [["duplicates", count(records["duplicates"]), "seen by another exporter too"]]
    rows += [["late", count(records["late"]), "came after their interval was finished"]]
    share = document["symmetry"]["tcp_inbound_established_unanswered"]
    return text_table(
        "records",
        f"{document['run']} ({document['status']}): records",
        ["", "records", ""],
        rows,
        [
            f"capture {document['symmetry']['verdict']}",
            f"{percent(share)} of inbound TCP flows with ACK have no outbound flow of their key",
            "each record counts once, under the first reason that fits",
        ],
        frozenset({0, 2}),
    )


def _directions(document: Document) -> Table:
    totals = document["totals"]
    flows = sum(totals[name]["flows"] for name in ("two_way", "one_way", "one_way_out"))
    packets = sum(totals[name]["packets"] for name in ("two_way", "one_way", "one_way_out"))
    rows = [
        [
            name.replace("_", " "),
            count(totals[name]["flows"]), share_of(totals[name]["flows"], flows),
            count(totals[name]["packets"]), share_of(totals[name]["packets"], packets), count(totals[name]["bytes"]),
        ]
        for name in ("two_way", "one_way", "one_way_out")
    ]  # fmt: skip
    return text_table(
        "directions",
        "Two-way and one-way flows",
        ["", "flows", "share", "packets", "share", "bytes"],
        rows,
        [
            "a flow is two-way if its key has the opposite direction in the same interval or a neighbour",
            "shares are of the three together",
        ],
    )


def _classes(document: Document) -> Table:
    classes, all_ = document["totals"]["classes"], document["totals"]["one_way"]
    rows = [
        [
            name, CLASS_MEANINGS.get(name, ""),
            count(sums["flows"]), share_of(sums["flows"], all_["flows"]),
            count(sums["packets"]), share_of(sums["packets"], all_["packets"]),
        ]
        for name, sums in classes.items()
    ]  # fmt: skip
    return text_table(
        "classes",
        f"Classes of inbound one-way flows, by rules {document['rules']}",
        ["class", "", "flows", "share", "packets", "share"],
        rows,
        ["shares are of inbound one-way flows and of their packets"],
        frozenset({0, 1}),
    )


def _signs(document: Document) -> Table:
    flows = document["totals"]["one_way"]["flows"]
    rows = [[name, count(number), share_of(number, flows)] for name, number in document["totals"]["signs"].items()]
    return text_table(
        "signs", "Signs", ["sign", "flows", "share"], rows, ["of inbound one-way flows; a flow has several signs"]
    )


def _rules(document: Document) -> Table:
    flows = document["totals"]["one_way"]["flows"]
    rows = [
        [
            str(each["rule"]), each["class"], each["signs"], count(each["matched"]), count(each["decided"]),
            share_of(each["decided"], flows),
        ]
        for each in document.get("rule_hits", ())
    ]  # fmt: skip
    return text_table(
        "rules",
        f"Rules {document['rules']}",
        ["rule", "class", "signs", "match", "decided", "share"],
        rows,
        ["decided: flows that have their class by this rule; others that match it are decided by another one"],
        frozenset({0, 1, 2}),
    )


def _combinations(document: Document) -> Table:
    combinations = document["combinations"]
    conflicts = sum(each["flows"] for each in combinations if each["conflict"])
    unmatched = sum(each["flows"] for each in combinations if not each["rules"])
    rows = [
        [
            " ".join(each["signs"]) or "none",
            " ".join(map(str, each["rules"])) or "none",
            each["class"] + (" (conflict)" if each["conflict"] else ""),
            count(each["flows"]),
        ]
        for each in combinations[:MOST_ROWS]
    ]
    return text_table(
        "combinations",
        f"Combinations of signs: {len(combinations)} were met",
        ["signs", "rules", "class", "flows"],
        rows,
        [f"{count(conflicts)} flows match rules of several classes, {count(unmatched)} match none"],
        frozenset({0, 1, 2}),
    )


def services_by_failures(document: Document) -> list[Mapping[str, Any]]:
    """Return the services, those with most failed clients first."""
    services: list[Mapping[str, Any]] = list(document["services"])
    return sorted(services, key=lambda each: (-each["clients_failed"], -each["clients_ok"], each["service"]))


def _services(document: Document) -> Table:
    services = services_by_failures(document)
    dead = set(document.get("dead", ()))
    rows = [
        [
            each["service"] + (" (dead)" if each["service"] in dead else ""),
            count(each["clients_ok"]), count(each["clients_failed"]), percent(each["failed_share"]),
            _trend(document, each), count(each["scanners_left_out"]),
        ]
        for each in services[:MOST_ROWS]
    ]  # fmt: skip
    return text_table(
        "services",
        f"Services: {len(services)}",
        ["service", "clients ok", "failed", "failed share", "trend", "scanners left out"],
        rows,
        [
            "a client is a remote address; it failed if it never succeeded in the run",
            "failed share: failed / (ok + failed)",
            "trend: the failed share of the first and of the second half of the time, clients counted in each interval",
        ],
    )


def halves(document: Document, service: Mapping[str, Any]) -> list[float | None]:
    """Return the failed share of a service in both halves of the run's intervals; None without a client."""
    starts = [interval["start"] for interval in document["intervals"]]
    middle = starts[len(starts) // 2] if starts else ""
    sums = [[0, 0], [0, 0]]
    for interval in service["intervals"]:
        half = sums[interval["start"] >= middle]  # times of one run have one format, which sorts by time
        half[0] += interval["clients_failed"]
        half[1] += interval["clients_failed"] + interval["clients_ok"]
    return [failed / all_ if all_ else None for failed, all_ in sums]


def _trend(document: Document, service: Mapping[str, Any]) -> str:
    return " to ".join(percent(share) for share in halves(document, service))


def _local_addresses(document: Document) -> Table:
    numbers = document["local_addresses"]
    unseen = numbers["inside"] - numbers["two_way"] - numbers["one_way"]
    rows = [
        ["two-way", numbers["two_way"], "exchanged flows"],
        ["one-way", numbers["one_way"] - numbers["grey"], "one-way flows to it; it sends, or replied to a census"],
        ["grey", numbers["grey"], "one-way flows to it, and it sent nothing"],
        ["not seen", unseen, "no flow to it, or it only sends"],
    ]
    return text_table(
        "local_addresses",
        f"Local addresses: {count(numbers['inside'])}",
        ["", "addresses", "share", ""],
        [[name, count(number), share_of(number, numbers["inside"]), text] for name, number, text in rows],
        ["of the addresses that the config calls local"],
        frozenset({0, 3}),
    )


def named(services: Sequence[str]) -> str:
    """Return the names of the first services, and the number of the others."""
    more = len(services) - MOST_NAMED
    return ", ".join(services[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _outages(document: Document) -> Table:
    rows = [
        [
            each["start"], each["end"], count(each["clients"]),
            named(each["services"]),
        ]
        for each in document["outages"]
    ]  # fmt: skip
    return text_table(
        "outages",
        f"Outages: {len(rows)}",
        ["start", "end", "clients", "services"],
        rows,
        ["clients: distinct remotes that failed with one of the services in an interval of the outage"],
        frozenset({0, 1, 3}),
    )
