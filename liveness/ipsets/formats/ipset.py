"""Files of ``ipset restore`` as a format of set files: sets of the types hash:ip, hash:net and bitmap:ip."""

import itertools
import shlex
from typing import BinaryIO

import numpy as np
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.entries import Bounds, Bytes
from liveness.ipsets.formats.lines import as_bytes, entry, scanned, write_prefixes
from liveness.ipsets.formats.named import NamedSet, chosen, set_name
from liveness.ipsets.formats.netset import NetSet
from liveness.ipsets.formats.scan import scan_ipset
from liveness.ipsets.runs import prefixes
from liveness.ipsets.source import Source

TYPES = ("hash:ip", "hash:net", "bitmap:ip")
COMMANDS = {
    name: command
    for command, names in {
        "create": ("create", "new", "n", "-N", "--create"),
        "add": ("add", "-A", "--add"),
        "del": ("del", "-D", "--del"),
        "flush": ("flush", "-F", "--flush"),
        "destroy": ("destroy", "x", "-X", "--destroy"),
        "swap": ("swap", "w", "-W", "--swap"),
        "rename": ("rename", "e", "-E", "--rename"),
        "none": ("COMMIT", "save", "list", "test", "version", "help", "quit", "-S", "-L", "-T", "-H", "-V"),
    }.items()
    for name in names
}
"""Every name of a command of ipset(8), and its name here."""
LENIENT = ("-!", "-exist", "--exist")
LEAST_MAXELEM = 65536  # the default of ipset
NO_COMMAND = as_bytes(b"\0")  # occurs in no text: all lines go to `_Reader.slow`


def read_from(source: Source, choice: Choice) -> BitMap:
    """Return the only set of a file, or the one chosen.

    UsageError names a set of another type or of IPv6, and the line that is no command or no entry.
    """
    reader = _Reader(source.name)
    for low, high in scanned(source, reader.scan, reader.slow):
        reader.add(low, high)
    return chosen(reader.sets, choice.set_name, source.name)


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write a set of the type hash:net as the fewest prefixes; 0.0.0.0/0 as its halves, since hash:net takes no /0."""
    name = set_name(choice.set_name)
    count = sum(base.size for base, _ in prefixes(addresses))
    whole = len(addresses) == 1 << 32
    out.write(f"create {name} hash:net family inet maxelem {max(LEAST_MAXELEM, count + whole)}\n".encode())
    halves = np.array([0, 1 << 31], np.uint32), np.ones(2, np.uint8)
    write_prefixes(out, iter([halves]) if whole else prefixes(addresses), f"add {name} ".encode(), b"\n")


class _Reader:
    """The sets of a file as its commands make and change them, and the one that lines are added to now."""

    def __init__(self, name: str) -> None:
        self.sets: dict[str, NamedSet] = {}
        self._name = name
        self._netmask: dict[str, int] = {}
        self._current = ""
        self._command = NO_COMMAND
        self._lenient = False

    def scan(self, text: Bytes, at: int, low: Bounds, high: Bounds, count: int) -> tuple[int, int]:
        """Read lines that add to the current set."""
        return scan_ipset(text, at, low, high, count, self._command)

    def add(self, low: Bounds, high: Bounds) -> None:
        """Add bounds to the current set; where it has a netmask, each means its whole network."""
        hosts = np.uint32(self._hosts(self._current))
        self.sets[self._current].add(low & ~hosts, high | hosts)

    def slow(self, line: bytes, number: int) -> tuple[int, int] | None:
        """Execute any other line; one that adds makes the set it names the current one."""
        place = f"{self._name}:{number}"
        try:
            words = shlex.split(line.decode("utf-8", "backslashreplace"), comments=True)
        except ValueError as problem:
            raise UsageError(f"{place}: not a line of ipset: {str(problem).lower()}") from None
        # ipset keeps the option for the rest of the file
        self._lenient = lenient = self._lenient or any(word in LENIENT for word in words)
        words = [word for word in words if word not in LENIENT]
        if not words:
            return None
        command, arguments = COMMANDS.get(words[0], ""), words[1:]
        least = {"create": 2, "add": 2, "del": 2, "swap": 2, "rename": 2}.get(command, 0)
        if not command or len(arguments) < least:
            raise UsageError(f"{place}: {' '.join(words)[:60]!r} is no line that `ipset restore` reads")
        if command == "create":
            self._create(arguments[0], arguments[1], arguments[2:], place, lenient=lenient)
        elif command == "add":
            return self._add(arguments, place, number)
        elif command == "del":
            self._delete(arguments, place, number, lenient=lenient)
        elif command in ("flush", "destroy"):
            self._empty(command, arguments)
        elif command in ("swap", "rename"):
            self._exchange(command, arguments, place)
        return None

    def _add(self, arguments: list[str], place: str, number: int) -> tuple[int, int] | None:
        name, text, *options = arguments
        self._enter(name)
        if not self.sets[name].readable:
            return None
        fault = None
        if "nomatch" in (word for before, word in itertools.pairwise(["", *options]) if before != "comment"):
            fault = f"{place}: {text} nomatch: exceptions are not read: subtract them by `sets difference`"
        try:
            bounds = entry(text, self._name, number)
        except UsageError as error:
            fault = fault or str(error)
        if fault is None:
            return bounds
        self.sets[name].fault = fault
        self._enter(name)
        return None

    def _delete(self, arguments: list[str], place: str, number: int, *, lenient: bool) -> None:
        name, text = arguments[:2]
        found = self.sets.setdefault(name, NetSet())
        if not found.readable:
            return
        hosts = self._hosts(name)
        try:
            low, high = entry(text, self._name, number)
        except UsageError as error:
            found.fault = str(error)
            return
        if not (found.remove(low & ~hosts, high | hosts) or lenient):
            found.fault = (
                f"{place}: del {name} {text}: not in the set as this file makes it: ipset would refuse the file, or the"
                " set had it before; give what `ipset save` prints"
            )

    def _empty(self, command: str, arguments: list[str]) -> None:
        """Flush or destroy one set or all; a set that the file did not make is dropped."""
        for name in arguments[:1] or list(self.sets):
            if command == "destroy":
                self.sets.pop(name, None)
                self._netmask.pop(name, None)
            elif name in self.sets:
                self.sets[name].clear()
        if self._current not in self.sets:
            self._current, self._command = "", NO_COMMAND

    def _exchange(self, command: str, arguments: list[str], place: str) -> None:
        """Exchange the names of two sets, or give one a new name."""
        first, second = arguments[:2]
        if first not in self.sets or (command == "swap") != (second in self.sets):
            problem = "there is such a set already" if first in self.sets and command == "rename" else "no such set"
            raise UsageError(
                f"{place}: {command} {first} {second}: {problem} in this file: give what `ipset save` prints"
            )
        for table in (self.sets, self._netmask):
            taken = {new: table.pop(old) for old, new in ((first, second), (second, first)) if old in table}
            table.update(taken)  # type: ignore[arg-type]  # each keeps its own type
        self._current, self._command = "", NO_COMMAND

    def _create(self, name: str, kind: str, options: list[str], place: str, *, lenient: bool) -> None:
        if name in self.sets and self.sets[name].made:
            if not lenient:
                raise UsageError(f"{place}: create {name}: there is such a set already: ipset would refuse the file")
            self._enter(name)
            return
        given = dict(itertools.pairwise(options))
        made = NetSet() if kind == "hash:net" else NamedSet()
        made.made = True
        if kind not in TYPES:
            made.problem = f"has the type {kind}: only {', '.join(TYPES)} hold plain IPv4 addresses"
        elif given.get("family", "inet") != "inet":
            made.problem = "holds IPv6 addresses: this tool knows IPv4 alone"
        elif "bitmask" in given:
            made.problem = "has a bitmask, which is not read"
        if "netmask" in given:
            if given["netmask"] not in map(str, range(1, 33)):
                raise UsageError(f"{place}: netmask {given['netmask']!r}: not a number from 1 to 32")
            self._netmask[name] = int(given["netmask"])
        self.sets[name] = made
        self._enter(name)

    def _enter(self, name: str) -> None:
        """Make a set the current one; the kernel reads its lines unless they are to be passed over."""
        if name not in self.sets:
            self.sets[name] = NetSet()  # its create line may be in another file
        self._current = name
        plain = self.sets[name].readable and name.isascii() and name.isprintable()
        self._command = as_bytes(f"add {name} ".encode()) if plain else NO_COMMAND

    def _hosts(self, name: str) -> int:
        """Return the bits of an address that a set's netmask leaves out."""
        return (1 << (32 - self._netmask.get(name, 32))) - 1
