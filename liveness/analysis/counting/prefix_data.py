"""Data on prefixes that a user provides: CAIDA's pfx2as as text, plain or gzipped, or a MaxMind database (MMDB)."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET, inet_pton
from typing import BinaryIO, Final

from liveness.analysis.counting import mmdb
from liveness.analysis.counting.partition import Labelled, Partition, by_prefix8, by_prefixes
from liveness.errors import ConfigWarning, UsageError, count_of, one_line
from liveness.files.reading import read_named
from liveness.ipsets.compressed import Decompressed
from liveness.space.addresses import format_address, shown
from liveness.space.prefixes import Stream

WAYS: Final = ("prefix8", "asn", "country")
"""The attributes by which a run can be sliced."""

GZIP_MAGIC: Final = b"\x1f\x8b"
MMDB_BYTES: Final = 512 << 20
"""Largest file that is read; the largest real ones have about 150 MB."""
ASN_FIELDS: Final = ("autonomous_system_number", "asn")
COUNTRY_FIELDS: Final = ("country", "registered_country", "country_code")
CHUNK_BYTES: Final = 1 << 20
LONGEST_PREFIX: Final = 32
FIELDS: Final = 3


def partition_by(way: str, file: Path | None) -> Partition:
    """Return the partition for one of `WAYS`; all but prefix8 need a file. Raises UsageError that names the file."""
    if way == "prefix8":
        return by_prefix8()
    if file is None:
        raise UsageError(f"--by {way} needs data on prefixes: give --prefix-data FILE, a pfx2as text or an MMDB file")
    try:
        with file.open("rb") as stream:
            if _is_mmdb(stream):
                return by_prefixes(way, _from_mmdb(way, file))
            head = stream.read(len(GZIP_MAGIC))
            text: Stream = _Joined(head, stream)
            if head == GZIP_MAGIC:
                text = _Zipped(stream, head, str(file))
            return by_prefixes(way, _from_text(text, file))
    except OSError as problem:
        raise UsageError(f"{file}: cannot read this data on prefixes: {problem.strerror}") from problem


class _Zipped(Decompressed):
    """A gzipped text of prefixes. Real ones have a ratio of four to ten; a much higher one is refused."""

    LEAST_CHECKED_BYTES = 16 << 20
    HIGHEST_RATIO = 64


class _Joined:
    """A stream whose beginning has been read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        head, self._head = self._head[:size], self._head[size:]
        return head or self._stream.read(size)


def _is_mmdb(stream: BinaryIO) -> bool:
    """Return whether a file has MaxMind's marker near its end; False for a pipe, which cannot be sought."""
    if not stream.seekable():
        return False
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - mmdb.METADATA_BYTES))
    tail = stream.read(mmdb.METADATA_BYTES)
    stream.seek(0)
    return mmdb.MARKER in tail


def _lines(stream: Stream, file: Path) -> Iterator[bytes]:
    """Yield the lines of a stream. UsageError for a line that is too long."""
    rest = b""
    while data := stream.read(CHUNK_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
        if len(rest) > CHUNK_BYTES:
            raise UsageError(f"{file}: a line of more than {CHUNK_BYTES:,} bytes: not data on prefixes")
    yield rest


def _from_text(stream: Stream, file: Path) -> Iterator[Labelled]:
    """Yield prefixes from lines of ``address length label``; blank lines and comments are skipped.

    A prefix that occurs several times, with different origins, has all its labels, joined as CAIDA does (``1_2``).
    """
    found: dict[tuple[int, int], str] = {}
    several = 0
    for number, line in enumerate(_lines(stream, file), start=1):
        fields = line.split(None, FIELDS - 1)
        if not fields or fields[0].startswith(b"#"):
            continue
        try:
            base = int.from_bytes(inet_pton(AF_INET, fields[0].decode("ascii")), "big")
            length, label = int(fields[1]), fields[2].rstrip().decode("ascii")
        except (OSError, ValueError, IndexError):
            text = line.decode("utf-8", "backslashreplace").strip()
            expected = "an IPv4 prefix, its length and a label, with tabs between"
            raise UsageError(f"{file}:{number}: {shown(text)}: expected {expected}") from None
        if not 0 <= length <= LONGEST_PREFIX or base & ((1 << (LONGEST_PREFIX - length)) - 1):
            raise UsageError(f"{file}:{number}: {format_address(base)}/{length} is no prefix")
        before = found.get((base, length))
        if before is None:
            found[base, length] = label
        elif label not in before.split("_"):
            several += 1
            found[base, length] = f"{before}_{label}"
    if several:
        text = f"{file}: {count_of(several, 'line')} for a prefix that has another label already: both are kept, as 1_2"
        warnings.warn(text, ConfigWarning, stacklevel=2)
    if not found:
        raise UsageError(f"{file}: no prefix in it: expected lines of a prefix, its length and a label")
    yield from ((base, length, label) for (base, length), label in found.items())


def _from_mmdb(way: str, file: Path) -> Iterator[Labelled]:
    """Yield the IPv4 networks of a database of countries or autonomous systems."""
    found = False
    try:
        database = mmdb.Database.of(read_named(file, MMDB_BYTES))
        label_at = _Labels(way, mmdb.Data(database.content[database.data_at :])).at
        for bases, length, places in database.networks():
            for base, place in zip(bases.tolist(), places.tolist(), strict=True):
                label = label_at(place)
                if label is not None:
                    found = True
                    yield base, length, label
    except mmdb.DamagedError as problem:
        raise UsageError(f"{file}: cannot read this MMDB file: {problem}") from problem
    if not found:
        raise UsageError(f"{file}: no IPv4 network with {way} in it: is it a database of another kind?")


class _Labels:
    """The labels of records, in MaxMind's fields or in the flat text of other databases. Each is decoded once."""

    def __init__(self, way: str, data: mmdb.Data) -> None:
        self._data = data
        self._is_asn = way == "asn"
        self._names = ASN_FIELDS if self._is_asn else COUNTRY_FIELDS
        self._of_records: dict[int, str | None] = {}
        self._of_values: dict[int, str | None] = {}

    def at(self, place: int) -> str | None:
        """Return the label of the record at an offset of the data section, None if it has none."""
        if place not in self._of_records:
            places = self._data.places(place, self._names)
            labels = (self._of_value(places[name]) for name in self._names if name in places)
            self._of_records[place] = next((label for label in labels if label is not None), None)
        return self._of_records[place]

    def _of_value(self, place: int) -> str | None:
        if place not in self._of_values:  # many records share one country
            self._of_values[place] = self._label(self._data.value(place)[0])
        return self._of_values[place]

    def _label(self, value: mmdb.Value) -> str | None:
        if isinstance(value, dict):
            value = value.get("iso_code")
        if not isinstance(value, (str, int)) or not str(value):
            return None
        label = one_line(str(value))
        return label.removeprefix("AS") if self._is_asn else label
