"""The sets of nftables as a format of set files: what ``nft list`` prints and ``nft -f`` reads."""

import re
from typing import BinaryIO, Final

import numpy as np
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.entries import SHORTEST_ENTRY, Bounds
from liveness.ipsets.formats.lines import as_bytes, entry, write_prefixes
from liveness.ipsets.formats.named import NamedSet, chosen, set_name
from liveness.ipsets.formats.nft_ruleset import (
    ADD,
    ADDRESS_TYPES,
    DISCARD,
    DROPS,
    MAKES,
    OBJECTS,
    REMOVE,
    VERBS,
    CommandError,
    Key,
    Ruleset,
    key_of,
)
from liveness.ipsets.formats.scan_elements import CLOSED, EXPECTS_ENTRY, IN_OPTIONS, WRONG, scan_elements
from liveness.ipsets.runs import prefixes
from liveness.ipsets.source import Source
from liveness.space.addresses import parse_entry

TOKEN: Final = re.compile(rb'"[^"\n]*"|#[^\n]*|\\\r?\n|[{};\n]|[^\s{};#"]+')
VARIABLE: Final = re.compile(rb"\$(\w+)")
NEWLINE: Final = b"\n"
NOT_THERE: Final = (
    "delete element: one is not in the set as this file makes it: nft would refuse the file, or the set had it before;"
    " give what `nft list ruleset` prints"
)
TABLE = "liveness"
INDENT = b"\t\t\t     "


def read_from(source: Source, choice: Choice) -> BitMap:
    """Return the only set that a script leaves, or the one chosen: of a table, of elements, or of a ``define``.

    Commands are executed in order, from an empty ruleset on. UsageError names a set of another type, the line and value
    of an element that is no entry, and a command that cannot be executed.
    """
    reader = _Reader(source.name)
    for content, number in source.lines():
        reader.feed(content, number)
    reader.finish()
    return chosen(reader.rules.named(), choice.set_name, source.name)


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write a table with one set of the fewest prefixes."""
    head = f"table inet {TABLE} {{\n\tset {set_name(choice.set_name)} {{\n\t\ttype ipv4_addr\n\t\tflags interval\n"
    out.write(head.encode())
    if addresses:
        out.write(b"\t\telements = { ")
        separator = b",\n" + INDENT
        write_prefixes(out, prefixes(addresses), separator, b"", skip=len(separator))
        out.write(b" }\n")
    out.write(b"\t}\n}\n")


class _Reader:
    """The state of reading a script: the open blocks, and the set whose elements are read."""

    def __init__(self, name: str) -> None:
        self.rules = Ruleset()
        self._name = name
        self._blocks: list[list[str]] = []  # the words before each open brace
        self._words: list[str] = []  # of the statement begun
        self._set: tuple[Key, NamedSet] | None = None  # the one in whose block we are
        self._elements: NamedSet | None = None  # the one whose elements are read now
        self._does = ADD
        self._state = EXPECTS_ENTRY

    def feed(self, content: bytes, number: int) -> None:
        """Read whole lines, of which the first has that number."""
        at = 0
        while at < len(content):
            start = at
            try:
                if self._elements is not None:
                    at = self._read_elements(content, at, number, self._elements)
                    continue
                token = TOKEN.search(content, at)
                if token is None:
                    return
                at = token.end()
                self._take(token.group().decode("utf-8", "backslashreplace"))
            except CommandError as problem:
                line = number + content.count(b"\n", 0, max(start, at - 1))
                raise UsageError(f"{self._name}:{line}: {problem}") from None

    def finish(self) -> None:
        """End the script. UsageError if a brace is still open."""
        if self._blocks or self._elements is not None:
            for fault in (named.fault for named in self.rules.named().values() if named.fault is not None):
                raise UsageError(fault)
            raise UsageError(f"{self._name}: cut: {len(self._blocks) or 1} braces are not closed")

    def _take(self, word: str) -> None:
        """Take a word or a mark outside of elements."""
        if word == "{":
            self._open()
        elif word in ("}", ";", "\n"):
            self._end_statement()
            if word == "}":
                if not self._blocks:
                    raise CommandError("a brace is closed that was never opened")
                self._blocks.pop()
                if len(self._blocks) < 2:  # noqa: PLR2004 - a table's and a set's
                    self._set = None
        elif not word.startswith(("#", "\\")):
            self._words.append(word)

    def _open(self) -> None:
        """Enter a block: elements of a set that can be read, or any other."""
        words, self._words = self._words, []
        target: NamedSet | None = None
        self._does = ADD
        if self._set is not None and "".join(words) == "elements=":
            target = self._set[1]
        elif not self._blocks:
            target = self._begin_command(words)
        elif len(self._blocks) == 1 and words[:1] in (["set"], ["map"]):
            self._enter(words[0], _table_of(self._blocks[0]), words[1:])
        if target is not None and target.readable:
            self._elements, self._state = target, EXPECTS_ENTRY
        else:
            self._blocks.append(words)

    def _begin_command(self, words: list[str]) -> NamedSet | None:
        """Return the set whose elements follow a command, if any do; note a set whose block follows."""
        if words[:1] in (["define"], ["redefine"]) and len(words) > 1:
            return self.rules.define(words[1].rstrip("="))
        verb, rest = _command(words)
        if rest[:1] == ["element"] and verb in MAKES | DROPS:
            self._does = ADD if verb in MAKES else verb
            return self.rules.elements_of(key_of(rest[1:]))
        if rest[:1] in (["set"], ["map"]) and verb in MAKES:
            self._enter(rest[0], rest[1:-1], rest[-1:], new=verb == "create")
        return None

    def _enter(self, kind: str, table: list[str], name: list[str], *, new: bool = False) -> None:
        """Enter the block of a set or a map."""
        key = key_of([*table, *name])
        if kind == "map":
            self.rules.declare_map(key)
        else:
            self._set = key, self.rules.declare(key, new=new)

    def _end_statement(self) -> None:
        """Execute a command, or note the type of a set."""
        words, self._words = self._words, []
        if not words:
            return
        if self._set is not None:
            made = self._set[1]
            if words[0] in ("type", "typeof") and words[1:] not in ADDRESS_TYPES:
                made.problem = f"has the {' '.join(words)}: only ipv4_addr is read"
            elif "".join(words[:2]).startswith("elements=$"):
                self._fill(made, words[-1].partition("$")[2])
        elif not self._blocks:
            self._execute(words)

    def _execute(self, words: list[str]) -> None:
        """Execute a command that has no block."""
        if words[0] == "include":
            raise CommandError(f"{' '.join(words)}: other files are not read: give what `nft list ruleset` prints")
        if words[0] in ("define", "redefine"):
            name, _, value = " ".join(words[1:]).partition("=")
            self._define(name.strip(), value.strip())
        elif words[0] == "undefine":
            self.rules.undefine(words[-1])
        else:
            verb, rest = _command(words)
            if rest[:1] == ["element"] and verb in MAKES and rest[-1].startswith("$"):
                target = self.rules.elements_of(key_of(rest[1:-1]))
                if target is not None:
                    self._fill(target, rest[-1][1:])
            elif rest[:1] == ["element"] and verb in DROPS:
                raise CommandError(f"{' '.join(words)}: write elements in braces")
            else:
                self.rules.run(verb, rest)

    def _define(self, name: str, value: str) -> None:
        """Define a name as one entry or as another definition; any other definition is no set."""
        if value.startswith("$"):
            addresses = self.rules.defined(value[1:]).finish().copy()
            self.rules.define(name).add_all(addresses)
            return
        try:
            low, high = entry(value, self._name, 0)
        except UsageError:
            self.rules.undefine(name)
            return
        self.rules.define(name).add_all(_range(low, high))

    def _fill(self, target: NamedSet, variable: str) -> None:
        """Add or remove the entries of a variable."""
        addresses = self.rules.defined(variable).finish()
        if self._does == ADD:
            target.add_all(addresses)
        elif self._does == REMOVE and not addresses <= target.finish():
            raise CommandError(f"delete element: ${variable} is not in the set as a whole")
        else:
            target.add_all(BitMap())
            kept = target.finish() - addresses
            target.clear()
            target.add_all(kept)

    def _read_elements(self, content: bytes, at: int, number: int, target: NamedSet) -> int:
        """Read elements up to their end or the text's, and return where that is."""
        text = as_bytes(content)
        low = np.empty(text.size // SHORTEST_ENTRY + 1, np.uint32)
        high = np.empty_like(low)
        count, stop, self._state = scan_elements(text, at, low, high, 0, self._state)
        problem = self._change(target, low[:count], high[:count])
        if self._state == WRONG and problem is None:
            if variable := VARIABLE.match(content, stop):
                self._fill(target, variable[1].decode())
                self._state = IN_OPTIONS
                return variable.end()
            problem = _why_no_element(re.split(rb"[,}\n]", content[stop:], maxsplit=1)[0])
        if problem is not None:
            target.fault = f"{self._name}:{number + content.count(NEWLINE, 0, stop)}: {problem}"
        if self._state == CLOSED or target.fault is not None:
            self._elements, self._does = None, ADD
        if target.fault is not None and self._state != CLOSED:
            self._blocks.append([])  # the other elements are skipped
        return stop

    def _change(self, target: NamedSet, low: Bounds, high: Bounds) -> str | None:
        """Add elements to a set or remove them from it; return the fault, if any."""
        if self._does == ADD:
            if low.size:
                target.add(low, high)
            return None
        for first, last in zip(low.tolist(), high.tolist(), strict=True):
            if self._does == DISCARD:
                target.discard(first, last)
            elif not target.remove(first, last):
                return NOT_THERE
        return None


def _command(words: list[str]) -> tuple[str, list[str]]:
    """Return the verb of a command and what follows it; ``add`` may be left out."""
    if words and words[0] in VERBS:
        return words[0], words[1:]
    return ("add", words) if words and words[0] in OBJECTS else ("", words)


def _table_of(words: list[str]) -> list[str]:
    """Return family and table of a table's block, from the words before its brace."""
    verb, rest = _command(words)
    return rest[1:] if verb in MAKES and rest[:1] == ["table"] else []


def _why_no_element(wrong: bytes) -> str:
    """Return the fault of an element."""
    text = wrong.strip().decode("utf-8", "backslashreplace")
    try:
        parse_entry(text)
    except ValueError as problem:
        return str(problem)
    return f"{text!r} is not an element of IPv4 addresses alone"


def _range(low: int, high: int) -> BitMap:
    found = BitMap()
    found.add_range(low, high + 1)
    return found
