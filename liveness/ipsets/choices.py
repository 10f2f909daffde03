"""What a command says of the sets that it reads and writes: formats, columns, names, ports, output."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.files.outputs import check_output
from liveness.ipsets.files import Reader, SetFile, write_set
from liveness.ipsets.formats.codec import DEFAULT_COLUMN, Choice
from liveness.ipsets.formats.table import RESULTS, output_format
from liveness.space.prefixes import Skipped

STDIN: Final = "-"
HAVE_COLUMNS: Final = frozenset({"csv", "jsonl"})
HAVE_NAMES: Final = frozenset({"ipset", "nft"})
HAVE_PORTS: Final = frozenset(RESULTS)
OWN_OPTIONS: Final = {
    "column": ("--column", HAVE_COLUMNS),
    "set_name": ("--set", HAVE_NAMES),
    "ports": ("--ports", HAVE_PORTS),
    "states": ("--states", HAVE_PORTS),
}
"""Choices that only some formats support, with their options."""


@dataclass(frozen=True, slots=True)
class SetChoices:
    """The options of a command on sets; None for one that is not given."""

    from_format: str | None = None
    column: str | None = None
    set_name: str | None = None
    ports: str | None = None
    states: str | None = None
    output_file: str | None = None
    to_format: str | None = None
    written_name: str | None = None
    skipped: Skipped | None = None
    """Counts lines of IPv6 that are left out; with None they are errors."""

    def reading(self, files: Sequence[str] = ()) -> "Reading":
        """Return a reader of files with these choices. UsageError if standard input would be read twice."""
        if list(files).count(STDIN) > 1:
            raise UsageError("standard input (-) can be read only once")
        ports, states = _words(self.ports), _words(self.states)
        for port in ports or ():
            if not re.fullmatch(r"(tcp|udp|sctp)/\d{1,5}", port):
                raise UsageError(f"--ports: {port!r}: expected a protocol and a port such as tcp/80")
        choice = Choice(self.column or DEFAULT_COLUMN, self.set_name, skipped=self.skipped, ports=ports)
        if states is not None:
            choice = replace(choice, states=states)
        return Reading(Reader(self.from_format, choice), self)

    def read(self, file: str) -> BitMap:
        """Return the members of a command's single file."""
        reading = self.reading()
        addresses = reading.addresses(file)
        reading.check()
        return addresses

    def check_output(self) -> None:
        """Raise UsageError for an output that cannot be written, before a large set is read."""
        form = output_format(self.output_file, self.to_format)
        if self.output_file is not None and self.output_file != STDIN:
            check_output(Path(self.output_file), "a set")
        if self.written_name is not None and form.name not in HAVE_NAMES:
            raise UsageError(f"--name: {form.name} is written: only {' and '.join(sorted(HAVE_NAMES))} have one")

    def write(self, addresses: BitMap) -> None:
        """Write a result to the output, in its format."""
        form = output_format(self.output_file, self.to_format)
        write_set(self.output_file, addresses, form, Choice(set_name=self.written_name))


@dataclass(frozen=True, slots=True)
class Reading:
    """The files of a command, and whether any of their formats supports the choices that only some formats do."""

    _reader: Reader
    _choices: SetChoices
    _formats: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> SetFile:
        """Return a file's set and format."""
        found = self._reader.read(path)
        self._formats[path] = found.format
        return found

    def addresses(self, path: str) -> BitMap:
        """Return a file's members."""
        return self.read(path).addresses

    def check(self) -> None:
        """Raise UsageError for a choice that no file's format supports, because it would have no effect."""
        for name, (option, known) in OWN_OPTIONS.items():
            if getattr(self._choices, name) is not None and self._formats and not known & set(self._formats.values()):
                path, form = next(iter(self._formats.items()))
                raise UsageError(f"{option}: {path} is {form}: only {' and '.join(sorted(known))} have one")


def _words(text: str | None) -> frozenset[str] | None:
    """Return the words of a text separated by commas; None for None."""
    return None if text is None else frozenset(word.strip() for word in text.split(",") if word.strip())
