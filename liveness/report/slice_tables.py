"""Tables of parts of the address space: what the numbers are restricted to, and the slices of a run."""

from typing import Final

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.scope import Within
from liveness.analysis.formula import share
from liveness.analysis.measures.slices import Slices
from liveness.report.layout import Section, count, percent

TOP: Final = 20
"""How many slices are shown unless told otherwise."""

NAMES_SHOWN: Final = 5

UNKNOWN: Final = "?"
"""Stands for the addresses of which the data on prefixes say nothing."""


def within_table(within: Within, targets: int | None) -> Section:
    """Return what part of the address space the numbers are of."""
    named = ", ".join(within.given[:NAMES_SHOWN]) + (", ..." if len(within.given) > NAMES_SHOWN else "")
    rows = [
        ("within", named),
        ("addresses in it", count(within.intervals.count)),
        ("targets in it", count(targets)),
    ]
    notes = [
        "Only replies whose source lies in it count.",
        "A run counts packets, repeats and loss as a whole: they are left out here.",
    ]
    return Section("Restricted", ("", ""), rows, notes, text_columns=frozenset({0, 1}))


def slices_table(slices: Slices, everyone: int, top: int) -> Section:
    """Return the largest slices of a run by IPall, `top` of them."""
    rows = []
    for one in slices.slices[:top]:
        found, layers = one.addresses, one.taxonomy
        rows.append(
            (
                UNKNOWN if one.name is None else one.name,
                count(found.all),
                percent(share(found.all, everyone)),
                *(percent(share(found.families[family].total, found.all)) for family in FAMILIES),
                percent(share(layers.transport_alive, found.all)),
                count(one.prefixes24.all),
            )
        )
    return Section(
        f"Slices by {slices.by}",
        (slices.by, "IPall", "share", *FAMILIES, "SYN-ACK", "/24s"),
        rows,
        [
            f"The {len(rows)} largest of {count(len(slices.slices))}; --json has all, with every layer and family.",
            f"share: of the {count(everyone)} addresses of IPall. The others: of the slice's IPall.",
            "SYN-ACK: transport alive. /24s: those with addresses of IPall. ?: nothing is said of these addresses.",
        ],
    )
