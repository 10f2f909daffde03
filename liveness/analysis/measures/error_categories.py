"""ICMP errors by category, by type and code, and by who sent them (Bano et al. 2018, figure 3b)."""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from liveness.analysis.counting.categories import CATEGORIES
from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula
from liveness.replies import Kind


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


def error_categories(run: RunStates) -> dict[str, ErrorCategories]:
    """Count each family's error sources by the one category they sent, or as `multiple`."""
    return {family: _categories(run, family) for family in FAMILIES}


def _categories(run: RunStates, family: str) -> ErrorCategories:
    """Count one family's error sources."""
    senders = {name: run.sent_category(family, name) for name in CATEGORIES}
    of_one = np.sum(list(senders.values()), axis=0) == 1
    exclusive = {name: run.count(chosen & of_one) for name, chosen in senders.items()}
    total = run.count(run.errors(family))
    return ErrorCategories(**exclusive, multiple=total - sum(exclusive.values()), all=total)


def error_messages(run: RunStates) -> dict[str, dict[str, int]]:
    """Count each family's error messages by ``type/code``, duplicates included, most frequent first.

    A run counts messages as a whole: for a part of the address space nothing is known, and nothing returned.
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


def error_sources(run: RunStates) -> ErrorSources:
    """Count the error sources of all families by whether they are targets that answered for themselves."""
    primary = run.sent_primary()
    sources = run.sent(run.probes, (Kind.ERROR,))
    return ErrorSources(primary=run.count(primary), secondary=run.count(sources & ~primary))
