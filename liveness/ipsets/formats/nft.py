"""The sets of nftables as a format of set files: what ``nft list`` prints and ``nft -f`` reads."""

import re
from typing import BinaryIO

import numpy as np
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.entries import SHORTEST_ENTRY
from liveness.ipsets.formats.lines import as_bytes, entry, write_prefixes
from liveness.ipsets.formats.named import NamedSet, chosen, set_name
from liveness.ipsets.formats.scan_elements import CLOSED, EXPECTS_ENTRY, WRONG, scan_elements
from liveness.ipsets.runs import prefixes
from liveness.ipsets.source import Source

TOKEN = re.compile(rb'"[^"\n]*"|#[^\n]*|[{};\n]|[^\s{};#"]+')
ADDRESS_TYPES = (["type", "ipv4_addr"], ["typeof", "ip", "saddr"], ["typeof", "ip", "daddr"])
TABLE = "liveness"
INDENT = b"\t\t\t     "


def read_from(source: Source, choice: Choice) -> BitMap:
    """Return the only set of a file, or the one chosen: of a table, of ``add element`` lines, or of a ``define``.

    UsageError names a set of another type, and the line and value of an element that is no entry.
    """
    reader = _Reader(source.name)
    for content, number in source.lines():
        reader.feed(content, number)
    reader.finish()
    return chosen(reader.sets, choice.set_name, source.name)


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
    """The sets of a ruleset as its lines come; where it stands in its blocks, and in which set's elements."""

    def __init__(self, name: str) -> None:
        self.sets: dict[str, NamedSet] = {}
        self._name = name
        self._tables: dict[str, str] = {}
        self._blocks: list[list[str]] = []  # the words before each open brace
        self._words: list[str] = []  # of the statement begun
        self._elements: str | None = None  # the set whose elements are read now
        self._state = EXPECTS_ENTRY

    def feed(self, content: bytes, number: int) -> None:
        """Read whole lines, of which the first has that number."""
        at = 0
        while at < len(content):
            if self._elements is not None:
                at = self._read_elements(content, at, number)
                continue
            token = TOKEN.search(content, at)
            if token is None:
                return
            at = token.end()
            if token.group() == b"}" and not self._blocks:
                line = number + content.count(b"\n", 0, at)
                raise UsageError(f"{self._name}:{line}: a brace is closed that was never opened")
            self._take(token.group().decode("utf-8", "backslashreplace"))

    def finish(self) -> None:
        """Say that nothing follows. UsageError if a brace is still open."""
        if self._blocks or self._elements is not None:
            raise UsageError(f"{self._name}: cut: {len(self._blocks) or 1} braces are not closed")

    def _take(self, word: str) -> None:
        """Go on by a word or a mark outside of elements."""
        if word == "{":
            self._open()
        elif word in ("}", ";", "\n"):
            self._end_statement()
            if word == "}":
                self._blocks.pop()
        elif not word.startswith("#"):
            self._words.append(word)

    def _open(self) -> None:
        """Enter a block: the elements of a set that can be read, or any other."""
        words, self._words = self._words, []
        name = None
        if "".join(words) == "elements=" and (inside := self._set_inside()) is not None:
            name = inside
        elif words[:1] == ["define"] and len(words) > 1:
            name = words[1].rstrip("=")
            self._declare(name, "define")
        elif words[:2] in (["add", "element"], ["add", "set"]):
            self._declare(words[-1], " ".join(words[2:-1]))
            name = words[-1] if words[1] == "element" else None
        elif words[:1] == ["set"]:
            self._declare(words[-1], " ".join(self._blocks[-1][1:]) if self._blocks else "")
        if name is not None and self.sets[name].problem is None:
            self._elements, self._state = name, EXPECTS_ENTRY
        else:
            self._blocks.append(words)

    def _declare(self, name: str, table: str) -> None:
        """Note a set of a table. One name in two tables is no name."""
        if self._tables.setdefault(name, table) != table:
            self.sets[name].problem = f"stands in two tables, {self._tables[name]} and {table}: list one of them alone"
        self.sets.setdefault(name, NamedSet())

    def _set_inside(self) -> str | None:
        """Return the name of the set in whose block we are."""
        words = self._blocks[-1] if self._blocks else []
        return words[-1] if words[:1] == ["set"] or words[:2] == ["add", "set"] else None

    def _end_statement(self) -> None:
        """Take note of a set's type."""
        words, self._words = self._words, []
        name = self._set_inside()
        if name is not None and words[:1] in (["type"], ["typeof"]) and words not in ADDRESS_TYPES:
            self.sets[name].problem = f"has the {' '.join(words)}: only ipv4_addr is read"

    def _read_elements(self, content: bytes, at: int, number: int) -> int:
        """Read elements up to their end or the text's, and return where that is."""
        text = as_bytes(content)
        low = np.empty(text.size // SHORTEST_ENTRY + 1, np.uint32)
        high = np.empty_like(low)
        count, stop, self._state = scan_elements(text, at, low, high, 0, self._state)
        if self._state == WRONG:
            line = number + content.count(b"\n", 0, stop)
            wrong = re.split(rb"[,}\n]", content[stop:], maxsplit=1)[0].strip()
            entry(wrong.decode("utf-8", "backslashreplace"), self._name, line)
            raise UsageError(f"{self._name}:{line}: {wrong.decode()!r} is not an element of IPv4 addresses alone")
        if self._elements is not None:
            self.sets[self._elements].builder.add(low[:count], high[:count])
        if self._state == CLOSED:
            self._elements = None
        return stop
