"""The text of ``ipset save`` as a format of set files: sets of the types hash:ip, hash:net and bitmap:ip."""

import itertools
import shlex
from typing import BinaryIO

import numpy as np
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.entries import Bounds, Bytes
from liveness.ipsets.formats.lines import as_bytes, entry, scanned, write_prefixes
from liveness.ipsets.formats.named import NamedSet, chosen, set_name
from liveness.ipsets.formats.scan import scan_ipset
from liveness.ipsets.runs import prefixes
from liveness.ipsets.source import Source

TYPES = ("hash:ip", "hash:net", "bitmap:ip")
CREATE, ADD = ("create", "-N", "--create"), ("add", "-A", "--add")
LENIENT = ("-!", "-exist", "--exist")
NO_CHANGE = ("COMMIT", "flush", "-F", "--flush")
LEAST_MAXELEM = 65536  # the default of ipset
NO_COMMAND = as_bytes(b"\0")  # stands in no text: all lines go to `_Reader.slow`


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
    """The sets of a file as its lines come, and the one that lines are added to now."""

    def __init__(self, name: str) -> None:
        self.sets: dict[str, NamedSet] = {}
        self._name = name
        self._netmask: dict[str, int] = {}
        self._current = ""
        self._command = NO_COMMAND

    def scan(self, text: Bytes, at: int, low: Bounds, high: Bounds, count: int) -> tuple[int, int]:
        """Read lines that add to the current set."""
        return scan_ipset(text, at, low, high, count, self._command)

    def add(self, low: Bounds, high: Bounds) -> None:
        """Add bounds to the current set; where it has a netmask, each stands for its whole network."""
        if (bits := 32 - self._netmask.get(self._current, 32)) > 0:
            hosts = np.uint32((1 << bits) - 1)
            low, high = low & ~hosts, high | hosts
        self.sets[self._current].builder.add(low, high)

    def slow(self, line: bytes, number: int) -> tuple[int, int] | None:
        """Read any other line, and make the set it names the current one."""
        place = f"{self._name}:{number}"
        try:
            words = shlex.split(line.decode("utf-8", "backslashreplace"), comments=True)
        except ValueError as problem:
            raise UsageError(f"{place}: not a line of ipset: {str(problem).lower()}") from None
        words = [word for word in words if word not in LENIENT]
        if not words or words[0] in NO_CHANGE:
            return None
        if words[0] in CREATE and len(words) > 2:  # noqa: PLR2004 - command, name, type
            self._create(words[1], words[2], words[3:], place)
            return None
        if words[0] not in ADD or len(words) < 3:  # noqa: PLR2004 - command, name, entry
            raise UsageError(f"{place}: {' '.join(words)[:60]!r} is no line of `ipset save`: create or add")
        if words[1] not in self.sets:
            self.sets[words[1]] = NamedSet()  # its create line may stand elsewhere
        self._enter(words[1])
        if self.sets[words[1]].problem is not None:
            return None
        options = words[3:]
        if "nomatch" in (word for before, word in itertools.pairwise(["", *options]) if before != "comment"):
            raise UsageError(
                f"{place}: {words[2]} nomatch: exceptions are not read: subtract them by `sets difference`"
            )
        return entry(words[2], self._name, number)

    def _create(self, name: str, kind: str, options: list[str], place: str) -> None:
        given = dict(itertools.pairwise(options))
        made = NamedSet(Builder())
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
        self._current = name
        plain = self.sets[name].problem is None and name.isascii() and name.isprintable()
        self._command = as_bytes(f"add {name} ".encode()) if plain else NO_COMMAND
