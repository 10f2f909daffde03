"""What may be in the place of a file: a directory, a pipe, links to nothing, to themselves and to /dev/zero."""

import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from tests.fuzzing.kinds.kind import FileKind

MAKERS: Final[dict[bytes, Callable[[Path], None]]] = {
    b"a directory": Path.mkdir,
    b"a link to nothing": lambda path: path.symlink_to("nothing"),
    b"a link to itself": lambda path: path.symlink_to(path.name),
    b"a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    b"a link to another file": lambda path: path.symlink_to("../../victim/precious"),
    b"a pipe": os.mkfifo,
}
NAMED: Final = tuple(what for what in MAKERS if what != b"a pipe")
"""For files that a person names: a pipe is waited for."""


class OddFile(bytes):
    """The name of something odd, in place of a file's content."""

    __slots__ = ()

    def make(self, path: Path) -> None:
        """Put it in the place of a file."""
        MAKERS[bytes(self)](path)


class OddKind(FileKind):
    """A kind of file whose mutants are no files."""

    @classmethod
    def of(cls, kind: FileKind) -> "OddKind":
        """Return the odd files of a kind."""
        return cls(**{field.name: getattr(kind, field.name) for field in fields(kind)})

    @property
    def names(self) -> Sequence[bytes]:
        """What may be there."""
        return tuple(MAKERS) if "/" in self.file else NAMED

    def mutant(self, _seed: int, number: int, _seeds: Sequence[bytes]) -> bytes:
        """Return the name of something odd."""
        return OddFile(self.names[number])
