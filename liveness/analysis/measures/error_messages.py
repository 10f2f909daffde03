"""ICMP error messages by type and code, and the codes inside other-unreachable (Bano et al. 2018, section 4.1)."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from liveness.analysis.counting.categories import UNREACHABLE, category
from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import share
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.tables import PUBLISHED, Cell, Column, Share, Table
from liveness.reference.bano_2018 import VALUES, words
from liveness.replies import Kind

Messages = dict[str, dict[str, int]]
"""By family and ``type/code``."""

NAMES: Final = {
    "3/0": "network unreachable",
    "3/1": "host unreachable",
    "3/2": "protocol unreachable",
    "3/3": "port unreachable",
    "3/4": "fragmentation needed",
    "3/5": "source route failed",
    "3/6": "network unknown",
    "3/7": "host unknown",
    "3/8": "source host isolated",
    "3/9": "network prohibited",
    "3/10": "host prohibited",
    "3/11": "network unreachable for TOS",
    "3/12": "host unreachable for TOS",
    "3/13": "admin prohibited",
    "3/14": "host precedence violation",
    "3/15": "precedence cutoff",
    "4/0": "source quench",
    "5/0": "redirect for network",
    "5/1": "redirect for host",
    "5/2": "redirect for TOS and network",
    "5/3": "redirect for TOS and host",
    "11/0": "TTL exceeded in transit",
    "11/1": "reassembly time exceeded",
    "12/0": "parameter problem at pointer",
    "12/1": "required option missing",
    "12/2": "bad length",
}
"""ICMP errors by type/code (RFC 792, 1108, 1122, 1812)."""

OTHER_UNREACHABLE_GROUPS: Final = {"13": ("3/13",), "0 and 10": ("3/0", "3/10")}
"""The codes inside other-unreachable that the paper names."""


def error_messages(run: RunStates) -> Messages:
    """Count each family's error messages by ``type/code``, duplicates included, most frequent first.

    A run counts messages as a whole: for a part of the address space they are not known, and the counts are empty.
    """
    if run.within is not None:
        return {family: {} for family in FAMILIES}
    result = {}
    for family in FAMILIES:
        counts: Counter[str] = Counter()
        for probe in run.family_probes(family):
            for label, messages in run.manifest.messages.get(probe, {}).items():
                kind, _, type_and_code = label.partition("-")
                if kind == Kind.ERROR.label:
                    counts[type_and_code.replace("-", "/")] += messages
        result[family] = {label: count for label, count in counts.most_common() if count}
    return result


def tables(value: Messages, run: RunResults) -> Iterator[Table]:
    """Yield all messages, and the codes inside other-unreachable as the paper groups them."""
    if run.within is not None:
        return
    totals = {family: sum(counts.values()) for family, counts in value.items()}
    labels = sorted({label for counts in value.values() for label in counts}, key=_numbers)
    yield Table(
        "error_messages",
        "ICMP error messages by type/code",
        (Column("error"), Column("meaning"), *_columns("error messages to probes of")),
        [
            (label, NAMES.get(label, ""), *_cells({f: value[f].get(label, 0) for f in FAMILIES}, totals))
            for label in labels
        ],
        ["Packets, duplicates included; shares of all error messages to probes of the family."],
    )
    inside = {family: _inside(counts) for family, counts in value.items()}
    totals = {family: sum(counts.values()) for family, counts in inside.items()}
    rows = []
    for name, group in OTHER_UNREACHABLE_GROUPS.items():
        parts = {family: sum(counts.get(label, 0) for label in group) for family, counts in inside.items()}
        rows.append((name, *_cells(parts, totals), words(f"other_unreachable.{name}")))
    yield Table(
        "other_unreachable",
        "Codes inside other-unreachable (section 4.1)",
        (Column("code"), *_columns("other-unreachable messages to probes of"), PUBLISHED),
        rows,
        ["Messages; shares of the family's type 3 messages with codes other than 1 and 3."],
    )


def comparisons(value: Messages, run: RunResults) -> Iterator[Comparison]:
    """Yield codes inside other-unreachable, of messages to TCP and UDP probes together, as in the paper."""
    if run.within is not None:
        return
    counts: Counter[str] = Counter()
    for family in ("tcp", "udp"):
        counts.update(_inside(value[family]))
    for name, labels in OTHER_UNREACHABLE_GROUPS.items():
        part = sum(counts[label] for label in labels)
        yield Comparison(
            f"code {name} inside other-unreachable",
            "of messages to TCP and UDP probes",
            share(part, counts.total()),
            VALUES[f"other_unreachable.{name}"],
        )


def _columns(of: str) -> list[Column]:
    """Return a column of messages and one of shares for each family."""
    columns = []
    for family in FAMILIES:
        columns += [
            Column(family, "packets"),
            Column("share", "share", f"{of} {family}", f"{family} share"),
        ]
    return columns


def _cells(parts: dict[str, int], totals: dict[str, int]) -> list[Cell]:
    cells: list[Cell] = []
    for family, part in parts.items():
        cells += [part, Share.of_counts(part, totals[family])]
    return cells


def _inside(counts: dict[str, int]) -> dict[str, int]:
    """Return the messages of type 3 that are neither host- nor port-unreachable."""
    return {label: number for label, number in counts.items() if _is_other_unreachable(label)}


def _is_other_unreachable(label: str) -> bool:
    icmp_type, code = _numbers(label)
    return icmp_type == UNREACHABLE and category(icmp_type, code) == "other_unreachable"


def _numbers(label: str) -> tuple[int, ...]:
    """Return type and code of a label ``3/13``."""
    return tuple(int(part) for part in label.split("/"))


ERROR_MESSAGES = Measure("error_messages", error_messages, tables, comparisons=comparisons)
