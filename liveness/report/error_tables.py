"""Tables of ICMP errors: categories by family, messages by type and code, and who sent them."""

from typing import Final

from liveness.analysis.counting.categories import UNREACHABLE, category
from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.error_categories import ErrorCategories, ErrorSources
from liveness.report import published
from liveness.report.layout import Section, count, named_formulas, percent, spoken

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


def categories_table(categories: dict[str, ErrorCategories]) -> Section:
    """Return the error sources of each family by category (figure 3b): a row a category, so that 80 columns do."""
    rows = []
    for name in formulas(ErrorCategories):
        cells = [spoken(name)]
        for family in FAMILIES:
            number: int = getattr(categories[family], name)
            cells += [count(number), percent(share(number, categories[family].all))]
        rows.append(cells)
    beside = ", ".join(f"{family}: {text}" for family, text in published.ERROR_CATEGORIES.items())
    return Section(
        "ICMP errors by category (figure 3b)",
        ("category", *(name for family in FAMILIES for name in (family, "share"))),
        rows,
        [
            "Addresses that sent errors to probes of the family; shares of all of them.",
            *named_formulas(formulas(ErrorCategories)),
            f"{published.LABEL}: {beside}.",
        ],
    )


def messages_table(messages: dict[str, dict[str, int]]) -> Section:
    """Return the error messages of each family by type and code."""
    labels = sorted({label for family in FAMILIES for label in messages[family]}, key=_numbers)
    rows = []
    for label in labels:
        cells = [label, NAMES.get(label, "")]
        for family in FAMILIES:
            number = messages[family].get(label, 0)
            cells += [count(number), percent(share(number, sum(messages[family].values())))]
        rows.append(cells)
    return Section(
        "ICMP error messages by type/code",
        ("error", "meaning", *(name for family in FAMILIES for name in (family, "share"))),
        rows,
        ["Packets, duplicates included; shares of all error messages to probes of the family."],
        text_columns=frozenset({0, 1}),
    )


def other_unreachable_table(messages: dict[str, dict[str, int]]) -> Section:
    """Return the codes inside other-unreachable, grouped as the paper does (section 4.1)."""
    rows = []
    for name, labels in OTHER_UNREACHABLE_GROUPS.items():
        cells = [name]
        for family in FAMILIES:
            counts = {label: number for label, number in messages[family].items() if is_other_unreachable(label)}
            part = sum(counts.get(label, 0) for label in labels)
            cells += [count(part), percent(share(part, sum(counts.values())))]
        rows.append((*cells, published.OTHER_UNREACHABLE[name]))
    return Section(
        "Codes inside other-unreachable (section 4.1)",
        ("code", *(name for family in FAMILIES for name in (family, "share")), published.LABEL),
        rows,
        ["Messages; shares of the family's type 3 messages with codes other than 1 and 3."],
    )


def sources_table(sources: ErrorSources) -> Section:
    """Return who sends errors: the target itself, or somebody on the way."""
    whole = sources.primary + sources.secondary
    rows = [
        (name, count(number), percent(share(number, whole)))
        for name, number in (("primary", sources.primary), ("secondary", sources.secondary))
    ]
    return Section(
        "Sources of ICMP errors",
        ("source", "addresses", "share"),
        rows,
        ["Shares of both together; both are network alive.", *named_formulas(formulas(ErrorSources))],
    )


def _numbers(label: str) -> tuple[int, ...]:
    """Return type and code of a label ``3/13``."""
    return tuple(int(part) for part in label.split("/"))


def is_other_unreachable(label: str) -> bool:
    """Return whether a label is of type 3 and neither host- nor port-unreachable."""
    icmp_type, code = _numbers(label)
    return icmp_type == UNREACHABLE and category(icmp_type, code) == "other_unreachable"
