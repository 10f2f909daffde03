"""Tables of a comparison of methods: what each saw, what it alone saw, and every combination."""

from collections.abc import Iterator
from typing import Final

from liveness.analysis.numbers import ABSENT, count, percent
from liveness.analysis.overlap import PASSIVE, Overlap
from liveness.analysis.tables import Table
from liveness.reference.heidemann_2008 import LABEL, PUBLISHED
from liveness.report.layout import text_table

NAMES: Final = {"icmp": "ICMP", "tcp": "TCP", "udp": "UDP", PASSIVE: "passive"}


def method_tables(overlap: Overlap) -> Iterator[Table]:
    """Yield the table of methods, and that of their combinations."""
    probing = " or ".join(NAMES[method] for method in overlap.observed if method != PASSIVE)
    rows = [
        _row("observed by all kinds of runs", overlap.scope, overlap, "methods.scope"),
        _row("silent", overlap.silent, overlap, "methods.silent"),
        _row("any", overlap.any, overlap, "methods.any"),
    ]
    if overlap.probed is not None and len(overlap.observed) > 1:
        rows.append(_row(probing, overlap.probed, overlap, "methods.probed" if probing == "ICMP or TCP" else ""))
    for method, number in overlap.observed.items():
        rows.append(_row(NAMES[method], number, overlap))
        if len(overlap.observed) > 1:
            rows.append(_row(f"{NAMES[method]} only", overlap.only(method), overlap, f"methods.only.{method}"))
    yield text_table(
        "methods",
        "Addresses by method of observation",
        ("addresses", "number", "of observed", "of any", LABEL),
        rows,
        [
            "ICMP, TCP, UDP: a positive reply of the address itself to a census, or in any round of a survey.",
            "passive: a local address with two-way traffic. Published: one campus, one week, ICMP and TCP.",
        ],
        frozenset({0, 4}),
    )
    if len(overlap.observed) > 1:
        combinations = [
            (" + ".join(NAMES[method] for method in methods), count(number), percent(_share(number, overlap.any)))
            for methods, number in overlap.exactly
        ]
        yield text_table(
            "method_combinations",
            "Addresses by the exact methods that saw them",
            ("methods", "number", "of any"),
            combinations,
        )


def _row(name: str, number: int, overlap: Overlap, published: str = "") -> tuple[str, ...]:
    words = PUBLISHED[published].words if published in PUBLISHED else ABSENT
    of_any = percent(_share(number, overlap.any)) if number <= overlap.any else ABSENT
    return name, count(number), percent(_share(number, overlap.scope)), of_any, words


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
