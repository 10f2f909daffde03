"""One kind of file that the tool reads: real files as seeds, mutations of them, and the reader."""

import bz2
import gzip
import json
import lzma
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

import yaml

from liveness.files.reading import read_bytes
from tests.fuzzing import hostile

ROOT: Final = Path(__file__).parents[3]
Mutate = Callable[[random.Random, Sequence[bytes]], bytes]
Read = Callable[[Path], object]
Pack = Callable[[bytes], bytes]

PACKERS: Final[dict[str, Pack]] = {
    "gzip": partial(gzip.compress, compresslevel=1, mtime=0),
    "bzip2": bz2.compress,
    "xz": partial(lzma.compress, preset=0),
}


def nothing(_work: Path) -> None:
    """Lay out nothing besides the file."""


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    `seeds` makes real files; it may use the folder that it is given. `surroundings` lays out in a folder what the file
    lies among. `read` is the reader: it may return, or raise a LivenessError whose text is one line.
    """

    name: str
    file: str
    """Path of the file in its folder."""
    seeds: Callable[[Path], Sequence[bytes]]
    mutate: Mutate
    read: Read
    command: Sequence[str] = field(default=())
    """The command that reads it; {} stands for the file, {folder} for its folder."""
    surroundings: Callable[[Path], None] = nothing
    tokens: Sequence[bytes] = field(default=())
    """Words of the format, which mutations put anywhere."""

    def mutant(self, seed: int, number: int, seeds: Sequence[bytes]) -> bytes:
        """Return a mutant; the same seed, number and files give the same one."""
        chance = random.Random(f"{seed} {self.name} {number}")
        while True:
            try:
                content = self.mutate(chance, seeds)
            except RecursionError:  # nested more deeply than what writes documents can
                continue
            if self.tokens and chance.random() < 0.2:
                content = hostile.with_tokens(chance, content, self.tokens)
            return content


_FORCED: Final[list[bool]] = []


def coin(path: Path, sides: int = 2) -> bool:
    """Return by a file's content whether it is one in `sides`; what is no file is not."""
    if _FORCED:
        return _FORCED[-1]
    try:
        return zlib.crc32(read_bytes(path)) % sides == sides - 1
    except OSError:
        return False


@contextmanager
def coin_shows(*, one: bool) -> Iterator[None]:
    """Let every coin show this side, whatever the file."""
    _FORCED.append(one)
    try:
        yield
    finally:
        _FORCED.pop()


def fixed(*seeds: bytes) -> Callable[[Path], Sequence[bytes]]:
    """Return seeds that need no folder."""
    return lambda _folder: seeds


def made(make: Callable[[], Sequence[bytes]]) -> Callable[[Path], Sequence[bytes]]:
    """Return seeds that are made when they are needed."""
    return lambda _folder: make()


def flipped(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the seeds with bytes changed."""
    return hostile.octets(chance, chance.choice(seeds), seeds)


def of_json(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the documents with values changed."""
    return hostile.as_json(chance, hostile.json_document(chance.choice(seeds)).changed(chance))


def of_json_lines(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return lines of JSON with values or bytes of them changed."""
    lines = chance.choice(seeds).splitlines()
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(lines))
        try:
            lines[at] = hostile.as_json(chance, hostile.json_document(lines[at]).changed(chance))
        except ValueError:
            lines[at] = hostile.octets(chance, lines[at], lines)
    content = b"\n".join(lines)
    return hostile.octets(chance, content, seeds) if chance.random() < 0.3 else content


def of_yaml(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return a YAML document with values or bytes changed, as YAML or JSON."""
    seed = chance.choice(seeds)
    if chance.random() < 0.3:
        return hostile.octets(chance, seed, seeds)
    tree = _yaml_document(seed).changed(chance)
    if chance.random() < 0.7:
        return hostile.as_json(chance, tree)
    try:
        text: str = yaml.dump(tree, Dumper=FAST_DUMPER, allow_unicode=True)
    except UnicodeEncodeError:  # half of a character, which JSON escapes
        return hostile.as_json(chance, tree)
    return text.encode("utf-8", "surrogatepass")


FAST_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FAST_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@lru_cache(maxsize=hostile.MOST_SEEDS)
def _yaml_document(seed: bytes) -> hostile.Document:
    # through JSON, which makes texts of keys that are none
    return hostile.Document.of(json.loads(json.dumps(yaml.load(seed, FAST_LOADER))))  # noqa: S506 - safe


def of_lines(separator: bytes) -> Mutate:
    """Return what changes fields of a table in text, or its bytes."""

    def mutate(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
        seed = chance.choice(seeds)
        content = hostile.fields(chance, seed, separator) if chance.random() < 0.6 else seed
        return hostile.octets(chance, content, seeds) if content is seed or chance.random() < 0.2 else content

    return mutate


def packed(inner: Mutate, pack: Pack) -> Mutate:
    """Return what changes the content of a compressed file, its bytes, or both."""

    def mutate(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
        content = pack(inner(chance, seeds) if chance.random() < 0.7 else chance.choice(seeds))
        return hostile.octets(chance, content, ()) if chance.random() < 0.5 else content

    return mutate
