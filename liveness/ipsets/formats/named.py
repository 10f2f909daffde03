"""Named sets, as in files of ipset and nftables: how commands change them, and which one is chosen."""

import re
from dataclasses import dataclass, field

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Bounds, Builder
from liveness.ipsets.formats.codec import DEFAULT_SET_NAME

LONGEST_NAME = 31  # of both ipset and nftables, to be safe


@dataclass(slots=True)
class NamedSet:
    """A set of a file while it is read. `problem` says why it cannot be read, if so."""

    problem: str | None = None
    fault: str | None = None
    """The line about the first command on it that cannot be executed: an error only if this set is the one wanted."""
    made: bool = False
    """Whether a command made it, rather than only adding to it."""
    _members: BitMap = field(default_factory=BitMap)
    _added: Builder = field(default_factory=Builder)
    _waiting: bool = False
    """Whether `_added` holds anything."""

    @property
    def readable(self) -> bool:
        """Whether further commands of the file matter to it."""
        return self.problem is None and self.fault is None

    def add(self, low: Bounds, high: Bounds) -> None:
        """Add inclusive bounds; the arrays are copied."""
        self._added.add(low, high)
        self._waiting = True

    def add_all(self, addresses: BitMap) -> None:
        """Add all members of another set."""
        self._settle()
        self._members |= addresses

    def remove(self, low: int, high: int) -> bool:
        """Remove inclusive bounds; return False, and remove nothing, if any of them is no member."""
        self._settle()
        if self._members.range_cardinality(low, high + 1) != high + 1 - low:
            return False
        self._members.remove_range(low, high + 1)
        return True

    def discard(self, low: int, high: int) -> None:
        """Remove inclusive bounds, members or not."""
        self._settle()
        self._members.remove_range(low, high + 1)

    def clear(self) -> None:
        """Remove everything."""
        self._members, self._added, self._waiting = BitMap(), Builder(), False

    def finish(self) -> BitMap:
        """Return the members."""
        self._settle()
        return self._members

    def _settle(self) -> None:
        """Move what was added to the members."""
        if self._waiting:
            added, self._waiting = self._added.finish(), False
            if self._members:
                added |= self._members
            self._members = added


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
    if (fault := sets[found].fault) is not None:
        raise UsageError(fault)
    if (problem := sets[found].problem) is not None:
        raise UsageError(f"{name}: the set {found!r} {problem}")
    return sets[found].finish()


def set_name(wanted: str | None) -> str:
    """Return the name to write a set by. UsageError for one that ipset or nftables would refuse."""
    if wanted is None:
        return DEFAULT_SET_NAME
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", wanted) is None or len(wanted) > LONGEST_NAME:
        raise UsageError(
            f"--name {wanted}: not a name for a set: a letter, then letters, digits, _ . or -, {LONGEST_NAME} at most"
        )
    return wanted
