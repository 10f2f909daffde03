"""Reader of MaxMind databases (MMDB, format version 2.0): the IPv4 networks and one field of each network's record.

A file is not trusted: cycles in the tree, unlimited nesting and lengths beyond the end of the file raise DamagedError,
within time and memory proportional to the size of the file. Native readers of this format crash on some such files.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

MARKER: Final = b"\xab\xcd\xefMaxMind.com"
METADATA_BYTES: Final = 128 << 10
"""The metadata follows the last marker, within this number of bytes from the end."""
SEPARATOR_BYTES: Final = 16
"""Zeros between the tree and the data section."""
ODD_BITS: Final = 28
"""The record size in which two records share a byte."""
RECORD_BITS: Final = (24, ODD_BITS, 32)
FORMAT_VERSION: Final = 2
IPV4, IPV6 = 4, 6
IPV4_BITS: Final = 32
IPV4_IN_IPV6: Final = 96
"""Depth of the root of the IPv4 tree in a database of both versions: ::/96."""
DEEPEST: Final = 32
"""Limit of nesting; real records have a depth of about four."""
WIDEST_POINTER: Final = 4
"""Bytes of a pointer whose value does not use bits of the control byte."""
SIGNED_BYTES: Final = 4
SPARE_VALUES: Final = 10_000
"""Values that are decoded in addition to two for each byte of the file."""

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | dict[str, Value] | list[Value]"

_POINTER, _TEXT, _DOUBLE, _BYTES, _MAP, _SIGNED, _ARRAY, _BOOLEAN, _FLOAT = 1, 2, 3, 4, 7, 8, 11, 14, 15
_UNSIGNED: Final = {5: 2, 6: 4, 9: 8, 10: 16}
"""Kinds of unsigned numbers, and the largest size of each in bytes."""
_POINTER_BASES: Final = (0, 2048, 526_336, 0)
_SIZE_BASES: Final = {29: 29, 30: 285, 31: 65_821}


class DamagedError(ValueError):
    """Error of a file that is not a MaxMind database, or damaged."""


class Data:
    """Values in a section of a database, decoded on demand. Their total number is bounded by the file's size."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._left = 2 * len(content) + SPARE_VALUES

    def value(self, at: int, depth: int = 0) -> tuple[Value, int]:
        """Return the value at byte `at`, and the offset of its end. Raises DamagedError."""
        kind, size, at = self._head(at)
        if kind == _POINTER:
            return self.value(self._direct(size), depth)[0], at
        if kind == _MAP:
            return self._map(at, size, depth)
        if kind == _ARRAY:
            found = []
            self._check_depth(depth)
            for _ in range(size):
                value, at = self.value(at, depth + 1)
                found.append(value)
            return found, at
        if kind == _BOOLEAN:
            return bool(size), at
        return self._scalar(kind, at, size), at + size

    def places(self, at: int, names: Container[str]) -> dict[str, int]:
        """Return offsets of the values of named fields of the map at byte `at`, pointers followed; none if no map."""
        kind, size, at = self._head(at)
        if kind == _POINTER:
            kind, size, at = self._head(self._direct(size))
        found: dict[str, int] = {}
        for _ in range(size if kind == _MAP else 0):
            name, at = self._name(at)
            if name in names:
                kind_of_value, target, _ = self._head(at)
                found[name] = self._direct(target) if kind_of_value == _POINTER else at
            at = self._skipped(at, 0)
        return found

    def _direct(self, at: int) -> int:
        """Return a pointer's target, which must not be a pointer itself."""
        if at < len(self._content) and self._content[at] >> 5 == _POINTER:
            raise DamagedError("a pointer to a pointer")
        return at

    def _head(self, at: int) -> tuple[int, int, int]:
        """Return kind, size (for a pointer its target) and offset of the content of the value at byte `at`."""
        self._left -= 1
        if self._left < 0:
            raise DamagedError("more values than the file has room for")
        control = self._number(at, 1)
        at += 1
        kind = control >> 5
        if kind == _POINTER:
            width = (control >> 3 & 3) + 1
            high = 0 if width == WIDEST_POINTER else (control & 7) << 8 * width
            return kind, high + self._number(at, width) + _POINTER_BASES[width - 1], at + width
        if kind == 0:
            kind = self._number(at, 1) + 7
            at += 1
            if kind <= _MAP:
                raise DamagedError("an unknown kind of value")
        size = control & 31
        if size in _SIZE_BASES:
            width = size - 28
            size = _SIZE_BASES[size] + self._number(at, width)
            at += width
        return kind, size, at

    def _number(self, at: int, width: int) -> int:
        if at < 0 or at + width > len(self._content):
            raise DamagedError("a value that the file ends within")
        return int.from_bytes(self._content[at : at + width], "big")

    def _check_depth(self, depth: int) -> None:
        if depth >= DEEPEST:
            raise DamagedError("values nested too deeply")

    def _map(self, at: int, size: int, depth: int) -> tuple[Value, int]:
        self._check_depth(depth)
        found: dict[str, Value] = {}
        for _ in range(size):
            name, at = self._name(at)
            found[name], at = self.value(at, depth + 1)
        return found, at

    def _name(self, at: int) -> tuple[str, int]:
        name, at = self.value(at, DEEPEST)
        if not isinstance(name, str):
            raise DamagedError("a name that is no text")
        return name, at

    def _scalar(self, kind: int, at: int, size: int) -> Scalar:
        if at + size > len(self._content):
            raise DamagedError("a value that the file ends within")
        content = self._content[at : at + size]
        if kind == _TEXT:
            try:
                return content.decode()
            except UnicodeDecodeError:
                raise DamagedError("text that is not UTF-8") from None
        if kind in _UNSIGNED and size <= _UNSIGNED[kind]:
            return int.from_bytes(content, "big")
        if kind == _SIGNED and size <= SIGNED_BYTES:
            return int.from_bytes(content, "big", signed=size == SIGNED_BYTES)
        if (kind, size) in ((_DOUBLE, 8), (_FLOAT, 4)):
            return float(np.frombuffer(content, f">f{size}")[0])
        if kind == _BYTES:
            return None
        raise DamagedError("an unknown kind of value")

    def _skipped(self, at: int, depth: int) -> int:
        """Return the offset of the end of the value at byte `at`, without following its pointers."""
        kind, size, at = self._head(at)
        if kind in (_POINTER, _BOOLEAN):
            return at
        if kind not in (_MAP, _ARRAY):
            return at + size
        self._check_depth(depth)
        for _ in range(2 * size if kind == _MAP else size):
            at = self._skipped(at, depth + 1)
        return at


@dataclass(frozen=True, slots=True)
class Database:
    """A database in memory."""

    content: bytes
    nodes: int
    record_bits: int
    ip_version: int

    @classmethod
    def of(cls, content: bytes) -> "Database":
        """Return a database after reading its metadata. Raises DamagedError."""
        at = content.rfind(MARKER, max(0, len(content) - METADATA_BYTES))
        if at < 0:
            raise DamagedError("no MaxMind database: it has no metadata")
        fields, _ = Data(content[at + len(MARKER) :]).value(0)
        if not isinstance(fields, dict):
            raise DamagedError("its metadata is no map")

        def number(name: str) -> int:
            value = fields.get(name)
            if not isinstance(value, int):
                raise DamagedError(f"its metadata has no number {name}")
            return int(value)

        database = cls(content[:at], number("node_count"), number("record_size"), number("ip_version"))
        if number("binary_format_major_version") != FORMAT_VERSION:
            raise DamagedError(f"only version {FORMAT_VERSION} of the format is read")
        if database.record_bits not in RECORD_BITS or database.ip_version not in (IPV4, IPV6):
            raise DamagedError(f"records of {database.record_bits} bits for IP version {database.ip_version}")
        if database.data_at > at:
            raise DamagedError(f"it is too short for its {database.nodes:,} nodes")
        return database

    @property
    def data_at(self) -> int:
        """The offset of the data section."""
        return self.nodes * self.record_bits // 4 + SEPARATOR_BYTES

    def networks(self) -> Iterator[tuple[NDArray[np.uint32], int, NDArray[np.int64]]]:
        """Yield the IPv4 networks by length: their addresses, the length, and the offsets of their records in the data.

        Raises DamagedError. The tree is walked level by level; in a valid one every node is visited once.
        """
        tree = np.frombuffer(self.content, np.uint8, self.nodes * self.record_bits // 4)
        nodes, bases = self._root(tree), np.zeros(1, np.uint32)
        if nodes[0] > self.nodes:  # one record for all of IPv4
            yield bases, 0, nodes - self.nodes - SEPARATOR_BYTES
            return
        left = 2 * self.nodes
        for length in range(1, IPV4_BITS + 1):
            nodes, inner = nodes[nodes < self.nodes], nodes < self.nodes
            bases = bases[inner]
            left -= len(nodes)
            if left < 0:
                raise DamagedError("its tree leads back to itself")
            bit = np.uint32(1 << (IPV4_BITS - length))
            nodes = np.concatenate([self._children(tree, nodes, side) for side in (0, 1)])
            bases = np.concatenate([bases, bases | bit])
            full = nodes > self.nodes
            if full.any():
                yield bases[full], length, nodes[full] - self.nodes - SEPARATOR_BYTES
        if (nodes < self.nodes).any():
            raise DamagedError("its tree continues below single addresses")

    def _root(self, tree: NDArray[np.uint8]) -> NDArray[np.int64]:
        node = np.zeros(1, np.int64)
        for _ in range(IPV4_IN_IPV6 if self.ip_version == IPV6 else 0):
            if node[0] >= self.nodes:
                break
            node = self._children(tree, node, 0)
        return node

    def _children(self, tree: NDArray[np.uint8], nodes: NDArray[np.int64], side: int) -> NDArray[np.int64]:
        """Return one side of each node: another node, `nodes` for no data, or the offset of a record above that."""
        at = nodes * (self.record_bits // 4)
        if self.record_bits == ODD_BITS:  # the middle byte has the highest four bits of each record
            shared = tree[at + 3].astype(np.int64)
            high, at = (shared >> 4, at) if side == 0 else (shared & 15, at + 4)
            width = 3
        else:
            width = self.record_bits // 8
            high, at = np.zeros(len(nodes), np.int64), at + side * width
        for place in range(width):
            high = high << 8 | tree[at + place]
        return high
