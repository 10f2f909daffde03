"""Files that may hold several sets by name, as those of ipset and nftables do: which one is meant."""

import re
from dataclasses import dataclass, field

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import DEFAULT_SET_NAME

LONGEST_NAME = 31  # of both ipset and nftables, to be safe


@dataclass(slots=True)
class NamedSet:
    """A set of a file while it is read. `problem` says why it cannot be read, if so."""

    builder: Builder = field(default_factory=Builder)
    problem: str | None = None


def chosen(sets: dict[str, NamedSet], wanted: str | None, name: str) -> BitMap:
    """Return the set wanted, or the only one. UsageError if there is none, or several, or it cannot be read."""
    listed = ", ".join(sorted(sets)) or "none"
    if wanted is not None and wanted not in sets:
        raise UsageError(f"{name}: no set {wanted!r}: it holds {listed}")
    if wanted is None and len(sets) != 1:
        if not sets:
            raise UsageError(f"{name}: no set of addresses in it")
        raise UsageError(f"{name}: it holds {len(sets)} sets: choose one with --set NAME: {listed}")
    found = wanted if wanted is not None else next(iter(sets))
    if (problem := sets[found].problem) is not None:
        raise UsageError(f"{name}: the set {found!r} {problem}")
    return sets[found].builder.finish()


def set_name(wanted: str | None) -> str:
    """Return the name to write a set by. UsageError for one that ipset or nftables would refuse."""
    if wanted is None:
        return DEFAULT_SET_NAME
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", wanted) is None or len(wanted) > LONGEST_NAME:
        raise UsageError(
            f"--name {wanted}: not a name for a set: a letter, then letters, digits, _ . or -, {LONGEST_NAME} at most"
        )
    return wanted
