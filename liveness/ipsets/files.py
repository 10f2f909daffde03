"""Set files of any format: read in the format that they have, and written whole or not at all."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.files.outputs import open_output
from liveness.ipsets.formats.codec import PLAIN, Choice, Codec
from liveness.ipsets.formats.table import FORMATS, READABLE, Format, by_content, by_suffix
from liveness.ipsets.source import Source, open_source

NAME_IT = ": name what it is with --from FORMAT"
"""The end of messages of formats if the file may be of another format."""


@dataclass(frozen=True, slots=True)
class SetFile:
    """A set as it was read: where from, in which format, of how many bytes."""

    path: str
    format: str
    size_bytes: int
    addresses: BitMap


@dataclass(frozen=True, slots=True)
class Reader:
    """Reading of set files: in a named format, or in the one that each file is recognised as."""

    format: str | None = None
    choice: Choice = PLAIN

    def read(self, path: str) -> SetFile:
        """Read a set file, or standard input for ``-``. UsageError names the file and what is wrong with it."""
        with open_source(path) as source:
            form = READABLE[self.format] if self.format is not None else self._detect(path, source)
            try:
                addresses = codec(form).read_from(source, self.choice)
            except UsageError as problem:
                if self.format is None or not str(problem).endswith(NAME_IT):
                    raise
                hint = f": --from {self.format} says that it is one: leave that out to have it found"
                raise UsageError(str(problem).removesuffix(NAME_IT) + hint) from None
            return SetFile(path, "text" if form.module == "text" else form.name, source.taken, addresses)

    def _detect(self, path: str, source: Source) -> Format:
        """Return the format that the content shows, else that of the suffix, else text."""
        return by_content(source.head, source.name, self.choice.column) or by_suffix(path) or FORMATS["text"]


def codec(form: Format) -> Codec:
    """Return the module that reads and writes a format; it is loaded now, with the compiler if it needs that."""
    return cast("Codec", importlib.import_module(f"liveness.ipsets.formats.{form.module}"))


def write_set(path: str | None, addresses: BitMap, form: Format, choice: Choice) -> None:
    """Write a set to a file, or to standard output for None and ``-``.

    A file is replaced whole, by rename; a device or a pipe is written as it is. UsageError for a binary format on a
    terminal, LivenessError that names the file when the disk refuses.
    """
    if form.binary and path in (None, "-") and sys.stdout.isatty():
        raise UsageError(f"standard output is a terminal: write {form.name} to a file with -o FILE, or say --to text")
    with _opened(path) as out:
        codec(form).write_to(out, addresses, form.name, choice)


@contextmanager
def _opened(path: str | None) -> Iterator[BinaryIO]:
    """Open what is to be written; see `write_set`."""
    if path is None or path == "-":
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    with open_output(Path(path)) as out:
        yield out
