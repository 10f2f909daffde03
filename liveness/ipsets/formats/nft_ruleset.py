"""The sets of a ruleset of nftables as its commands make, fill, empty and remove them, in order."""

from typing import Final

from liveness.ipsets.formats.named import NamedSet

FAMILIES: Final = frozenset({"ip", "ip6", "inet", "arp", "bridge", "netdev"})
ADD, REMOVE, DISCARD = "add", "delete", "destroy"
MAKES: Final = frozenset({"add", "create"})
DROPS: Final = frozenset({"delete", "destroy"})
VERBS: Final = frozenset(
    {*MAKES, *DROPS, "flush", "insert", "replace", "rename", "reset", "list", "monitor", "describe", "export", "import"}
)
OBJECTS: Final = frozenset(
    {"table", "chain", "rule", "set", "map", "element", "flowtable", "counter", "quota", "limit", "ct", "synproxy"}
    | {"secmark", "ruleset", "meter", "meters", "sets", "maps"}
)
ADDRESS_TYPES: Final = (["ipv4_addr"], ["ip", "saddr"], ["ip", "daddr"])

Key = tuple[str, str, str]
"""Family, table and name of a set."""


class CommandError(Exception):
    """A command that cannot be executed; its text says why."""


class Ruleset:
    """The sets, maps and definitions that commands have left so far."""

    def __init__(self) -> None:
        self._sets: dict[Key, NamedSet] = {}
        self._maps: set[Key] = set()
        self._defines: dict[str, NamedSet] = {}

    def named(self) -> dict[str, NamedSet]:
        """Return what can be chosen by its name. One name in two tables is no name."""
        found: dict[str, NamedSet] = dict(self._defines)
        places = dict.fromkeys(found, "define")
        for key, made in self._sets.items():
            name, place = key[2], " ".join(key[:2])
            if name in found:
                problem = f"stands in two tables, {places[name]} and {place}: list one of them alone"
                found[name] = NamedSet(problem=problem)
            else:
                found[name], places[name] = made, place
        return found

    def define(self, name: str) -> NamedSet:
        """Return an empty definition of that name."""
        self._defines[name] = NamedSet()
        return self._defines[name]

    def defined(self, name: str) -> NamedSet:
        """Return a definition. CommandError if there is none."""
        if name not in self._defines:
            raise CommandError(f"${name}: nothing of that name was defined before")
        return self._defines[name]

    def undefine(self, name: str) -> None:
        """Forget a definition."""
        self._defines.pop(name, None)

    def declare(self, key: Key, *, new: bool = False) -> NamedSet:
        """Return a set, which is made if it is missing. CommandError if `new` and it exists."""
        if new and key in self._sets:
            raise CommandError(f"create set {key[2]}: there is such a set already")
        return self._sets.setdefault(key, NamedSet())

    def declare_map(self, key: Key) -> None:
        """Note a map: its elements are no set."""
        self._maps.add(key)

    def elements_of(self, key: Key) -> NamedSet | None:
        """Return the set that a command on elements concerns, None for a map; one that was not declared is made."""
        return None if key in self._maps else self.declare(key)

    def run(self, verb: str, words: list[str]) -> None:
        """Execute a command without a block; `words` are what follows its verb. CommandError if it cannot be."""
        thing, arguments = (words[0] if words else ""), words[1:]
        if verb == "flush" and thing == "ruleset":
            self._drop_tables(arguments[0] if arguments else None, None)
        elif verb in DROPS and thing == "table":
            family, table, _ = key_of([*_without_handle(arguments), ""])
            self._drop_tables(family, table)
        elif verb in DROPS and thing in ("set", "map"):
            key = key_of(_without_handle(arguments))
            self._sets.pop(key, None)
            self._maps.discard(key)
        elif verb == "flush" and thing == "set":
            key = key_of(arguments)
            self.declare(key).clear()
        elif verb in MAKES and thing == "set":
            self.declare(key_of(arguments), new=verb == "create")
        elif verb in MAKES and thing == "map":
            self.declare_map(key_of(arguments))

    def _drop_tables(self, family: str | None, table: str | None) -> None:
        """Remove all sets of a table, of a family, or all."""

        def affected(key: Key) -> bool:
            return family in (None, key[0]) and table in (None, key[1])

        self._sets = {key: made for key, made in self._sets.items() if not affected(key)}
        self._maps = {key for key in self._maps if not affected(key)}


def key_of(words: list[str]) -> Key:
    """Return family, table and name of the words ``[family] table name``; the default family is ip."""
    named = words if words and words[0] in FAMILIES and len(words) > 2 else ["ip", *words]  # noqa: PLR2004 - all three
    if len(named) != 3:  # noqa: PLR2004 - family, table, name
        raise CommandError(f"{' '.join(words) or 'nothing'!r} names no set: expected family, table and name")
    return named[0], named[1], named[2]


def _without_handle(words: list[str]) -> list[str]:
    if "handle" in words:
        raise CommandError("what a handle stands for is known to the kernel alone: write the name instead")
    return words
