"""ICMP errors by category, by type and code, and by who sent them (Bano et al. 2018, figure 3b)."""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

from pyroaring import BitMap

from liveness.analysis.result import Formula
from liveness.analysis.run import FAMILIES, RunSets
from liveness.types import Kind, Role

UNREACHABLE = 3  # ICMP type (RFC 792)
HOST_UNREACHABLE = 1  # its codes
PORT_UNREACHABLE = 3


@dataclass(frozen=True, slots=True)
class ErrorCategories:
    """Addresses that sent errors to one family's probes; the first five are disjoint and add up to `all`."""

    port: Annotated[int, Formula("sent port-unreachable (3/3) alone")]
    host: Annotated[int, Formula("sent host-unreachable (3/1) alone")]
    other_unreachable: Annotated[int, Formula("sent other codes of type 3 alone")]
    other: Annotated[int, Formula("sent types 4, 5, 11, 12 alone")]
    multiple: Annotated[int, Formula("sent errors of two categories or more")]
    all: Annotated[int, Formula("sent any error")]


@dataclass(frozen=True, slots=True)
class ErrorSources:
    """Whose errors they are, over all families; both count as network alive."""

    primary: Annotated[int, Formula("addresses that sent an error about a probe to themselves")]
    secondary: Annotated[int, Formula("the other sources of errors: routers and middleboxes on the way")]


def category(icmp_type: int, icmp_code: int) -> str:
    """Return the category of an error, a field name of `ErrorCategories`."""
    if icmp_type != UNREACHABLE:
        return "other"
    return {PORT_UNREACHABLE: "port", HOST_UNREACHABLE: "host"}.get(icmp_code, "other_unreachable")


def error_categories(run: RunSets) -> dict[str, ErrorCategories]:
    """Count each family's error sources by the one category they sent, or as `multiple`."""
    return {family: _categories(run, family) for family in FAMILIES}


def _categories(run: RunSets, family: str) -> ErrorCategories:
    """Count one family's error sources."""
    senders = run.errors_by(run.family_probes(family), category)
    exclusive = dict.fromkeys(("port", "host", "other_unreachable", "other"), 0)
    for name, addresses in senders.items():
        others = BitMap.union(BitMap(), *(senders[other] for other in senders if other != name))
        exclusive[name] = addresses.difference_cardinality(others)
    total = len(run.errors(family))
    return ErrorCategories(**exclusive, multiple=total - sum(exclusive.values()), all=total)


def error_messages(run: RunSets) -> dict[str, dict[str, int]]:
    """Count each family's error messages by ``type/code``, duplicates included, most frequent first."""
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


def error_sources(run: RunSets) -> ErrorSources:
    """Count the error sources of all families by whether they are targets that answered for themselves."""
    primary = run.union(run.probes, (Kind.ERROR,), Role.DIRECT)
    sources = run.union(run.probes, (Kind.ERROR,))
    return ErrorSources(primary=len(primary), secondary=sources.difference_cardinality(primary))
