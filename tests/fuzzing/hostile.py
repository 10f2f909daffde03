"""Mutations of files: values of documents replaced by hostile ones, bytes flipped, cut, spliced and lied about."""

import json
import marshal
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

Tree: TypeAlias = Any
"""What a JSON document is made of."""
Path: TypeAlias = tuple[Any, ...]
"""The keys and indices that lead to a value."""
GONE: Final = object()
MOST_SEEDS: Final = 512
"""Of documents that are kept as they are changed."""
VALUES: Final[tuple[Tree, ...]] = (
    None,
    True,
    -1,
    0,
    1,
    255,
    65536,
    2**31,
    2**32,
    2**63 - 1,
    2**63,
    2**64,
    -(2**63),
    10**400,
    -0.0,
    1e308,
    5e-324,
    "",
    "x",
    " ",
    "\x1b[2J\x1b]0;owned\x07",
    "a\nb",
    "\u202egnp",
    "\u0000",
    "\ud800",
    "é" * 50,
    "x" * 5000,
    "/etc/passwd",
    "../../../../victim/precious",
    "victim/precious",
    "/dev/zero",
    "-",
    ".",
    "..",
    "icmp",
    "tcp/abc",
    "tcp/0",
    "tcp/99999",
    "tcp/80-90",
    "error-x",
    "error-3-999",
    "10.0.0.0/33",
    "300.0.0.1",
    "0.0.0.0/0",
    "255.255.255.255-0.0.0.0",
    "::1",
    "1e999pps",
    "-5pps",
    "100000000000000kpps",
    "99999999999h",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "O",
    "|O",
    "<i8",
    [],
    {},
    [[[[[[]]]]]],
    [None] * 3,
    {"": ""},
    {"x": {"x": {"x": 1}}},
    list(range(300)),
)
NUMBERS: Final = (0, 1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True)
class Document:
    """A document to change, with what every change of it needs: walking through a manifest takes a millisecond."""

    frozen: bytes
    paths: Sequence[Path]
    """The paths of all values in it."""

    @classmethod
    def of(cls, tree: Tree) -> "Document":
        """Return a document, which may be changed afterwards without changing this."""
        return cls(marshal.dumps(tree), places(tree))

    def changed(self, chance: random.Random) -> Tree:
        """Return the document with one to three of its values replaced, removed, renamed, repeated or nested."""
        tree = marshal.loads(self.frozen)  # noqa: S302 - a copy: these bytes were made above
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            path = chance.choice(self.paths)
            if not path:
                if chance.random() < 0.02:
                    return copied(chance.choice(VALUES))
                continue
            above = value_at(tree, path[:-1])
            if value_at(above, path[-1:]) is not GONE:
                self._change(chance, above, path[-1], tree)
        return tree

    def _change(self, chance: random.Random, above: Tree, key: Tree, tree: Tree) -> None:
        what = chance.randrange(8)
        if what == 0:
            del above[key]
        elif what == 1 and isinstance(above, dict):
            above[_name(chance)] = above.pop(key)
        elif what == 2:
            value = value_at(tree, chance.choice(self.paths))
            above[key] = None if value is GONE else copied(value)
        elif what == 3 and isinstance(above, list):
            above.extend(copied(above[key]) for _ in range(chance.choice((1, 2, 40))))
        elif what == 4:
            value = above[key]
            for _ in range(chance.choice((1, 3, 70, 300))):
                value = [value] if chance.random() < 0.5 else {"x": value}
            above[key] = value
        else:
            above[key] = copied(chance.choice(VALUES))  # or a later change would change the value for all


@lru_cache(maxsize=MOST_SEEDS)
def json_document(content: bytes) -> Document:
    """Return a JSON text to change. ValueError if it is none."""
    return Document.of(json.loads(content))


def places(tree: Tree) -> Sequence[Path]:
    """Return the paths of all values in a document."""
    found: list[Path] = []
    left: list[tuple[Path, Tree]] = [((), tree)]
    while left:
        path, value = left.pop()
        found.append(path)
        inner: Tree = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        left += [((*path, key), below) for key, below in inner]
    return found


def value_at(tree: Tree, path: Path) -> Tree:
    """Return the value at a path, GONE if changes have removed it."""
    for step in path:
        if not isinstance(tree, (dict, list)):
            return GONE
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return GONE
    return tree


def copied(value: Tree) -> Tree:
    """Return a copy of a value that shares nothing with it."""
    return marshal.loads(marshal.dumps(value)) if isinstance(value, (dict, list)) else value  # noqa: S302 - our own bytes


def _name(chance: random.Random) -> str:
    named = [value for value in VALUES if isinstance(value, str)]
    return chance.choice(named)


def as_json(chance: random.Random, tree: Tree) -> bytes:
    """Return a document as JSON, sometimes with bytes changed too."""
    content = json.dumps(tree, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return octets(chance, content, ()) if chance.random() < 0.1 else content


def octets(chance: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Return bytes that were flipped, cut, removed, repeated, overwritten by numbers or spliced with others."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not data:
            data += bytes(chance.randrange(64))
            continue
        in_head = chance.random() < 0.4
        at = chance.randrange(min(len(data), 64) if in_head else len(data))
        size = chance.choice((1, 2, 4, 8, 36, 256, 4096))
        edit = chance.choice(EDITS)
        edit(chance, data, at, size)
        if others and chance.random() < 0.1:
            other = chance.choice(others)
            begin = chance.randrange(len(other) + 1)
            data[at : at + size] = other[begin : begin + size]
    return bytes(data)


def with_tokens(chance: random.Random, content: bytes, tokens: Sequence[bytes]) -> bytes:
    """Return bytes with words of their format written over or between them."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        token = chance.choice(tokens)
        at = chance.randrange(len(data) + 1)
        data[at : at + (len(token) if chance.random() < 0.5 else 0)] = token
    return bytes(data)


def fields(chance: random.Random, content: bytes, separator: bytes) -> bytes:
    """Return a table in text of which some fields are hostile values, missing, repeated or in another place."""
    lines = content.split(b"\n")
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(lines))
        cells = lines[at].split(separator)
        place = chance.randrange(len(cells))
        what = chance.randrange(5)
        if what == 0:
            del cells[place]
        elif what == 1:
            cells[place:place] = [cells[place]] * chance.choice((1, 2, 300))
        elif what == 2:
            chance.shuffle(cells)
        else:
            cells[place] = str(chance.choice(VALUES)).encode("utf-8", "surrogatepass")
        lines[at] = separator.join(cells)
        if chance.random() < 0.1:
            lines[at:at] = [lines[at]] * chance.choice((1, 50))
    return b"\n".join(lines)


def _flip(chance: random.Random, data: bytearray, at: int, _size: int) -> None:
    data[at] ^= 1 << chance.randrange(8)


def _overwrite(chance: random.Random, data: bytearray, at: int, _size: int) -> None:
    data[at] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))


def _cut(_chance: random.Random, data: bytearray, at: int, _size: int) -> None:
    del data[at:]


def _remove(_chance: random.Random, data: bytearray, at: int, size: int) -> None:
    del data[at : at + size]


def _repeat(chance: random.Random, data: bytearray, at: int, size: int) -> None:
    data[at:at] = data[at : at + size] * chance.choice((1, 1, 8))


def _lie(chance: random.Random, data: bytearray, at: int, _size: int) -> None:
    """Put a number where a length may stand."""
    width = chance.choice((1, 2, 4, 8))
    number = (chance.choice(NUMBERS) + chance.choice((0, 0, 1, -1))) & ((1 << 8 * width) - 1)
    data[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))


def _adjust(chance: random.Random, data: bytearray, at: int, _size: int) -> None:
    """Change a number a little, or to what is left of the file: a length, count or offset that nearly fits."""
    width = chance.choice((1, 2, 4, 8))
    order: Literal["little", "big"] = chance.choice(("little", "big"))
    number = int.from_bytes(data[at : at + width], order)
    number = chance.choice((number + 1, number - 1, number * 2, number // 2, len(data), len(data) - at, at))
    data[at : at + width] = (number & ((1 << 8 * width) - 1)).to_bytes(width, order)


def _fill(chance: random.Random, data: bytearray, at: int, size: int) -> None:
    data[at : at + size] = chance.choice((b"\0", b"\xff", b"\n", b"9")) * size


def _insert(chance: random.Random, data: bytearray, at: int, size: int) -> None:
    data[at:at] = chance.randbytes(size)


EDITS: Final = (_flip, _overwrite, _cut, _remove, _repeat, _lie, _adjust, _fill, _insert)
