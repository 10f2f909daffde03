"""Avro object container files (Avro specification 1.11): header, blocks, and a kernel for records of simple fields.

Blocks are unpacked within a limit, whatever they claim. Records of unions, arrays or maps are not read: no format of
flows here has them.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import zstandard
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.flows.record import BATCH_RECORDS, Input, Notes
from liveness.kernel import int64, kernel, uint64

MAGIC: Final = b"Obj\x01"
SYNC_BYTES: Final = 16
MOST_HEADER_BYTES: Final = 1 << 20
MOST_BLOCK_BYTES: Final = 64 << 20
LONGEST_VARINT: Final = 10
_CONTINUED: Final = 0x80
"""Bit of a varint's byte that another follows."""
_LONGEST_SIZE: Final = 5
_CRC_BYTES: Final = 4

VARINT, LENGTH, FIXED4, FIXED8, FIXED1, NOTHING = range(6)
"""How a field is encoded: a zigzag varint, bytes behind their length, or so many bytes."""
_ENCODINGS: Final = {
    "int": VARINT, "long": VARINT, "string": LENGTH, "bytes": LENGTH, "float": FIXED4, "double": FIXED8,
    "boolean": FIXED1, "null": NOTHING,
}  # fmt: skip
UNUSED: Final = -1


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields of a record in their order, and the codec of the blocks."""

    names: tuple[str, ...]
    encodings: NDArray[np.int64]
    codec: str
    sync: bytes


def read_schema(source: Input) -> Schema:
    """Read a file's header. UsageError if it is damaged, or the records are not of simple fields."""
    if source.take(len(MAGIC)) != MAGIC:
        raise UsageError(f"{source.name}: not an Avro file")
    entries: dict[str, bytes] = {}
    while count := _take_long(source):
        if count < 0:  # the size of the entries in bytes follows, for readers that skip them
            count = -count
            _take_long(source)
        for _ in range(count):
            key = _take_bytes(source).decode("utf-8", "replace")
            entries[key] = _take_bytes(source)
    sync = source.take(SYNC_BYTES)
    try:
        schema: Any = json.loads(entries.get("avro.schema", b""))
        fields = [(str(field["name"]), field["type"]) for field in schema["fields"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{source.name}: its Avro schema is not that of a record: {error!r}") from error
    encodings = []
    for name, kind in fields:
        simple = kind.get("type") if isinstance(kind, dict) else kind
        if not isinstance(simple, str) or simple not in _ENCODINGS:
            raise UsageError(f"{source.name}: field {name!r} of its Avro schema is not of a simple type")
        encodings.append(_ENCODINGS[simple])
    codec = entries.get("avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _CODECS:
        raise UsageError(f"{source.name}: Avro's compression {codec!r} is not read: {', '.join(_CODECS)} are")
    return Schema(tuple(name for name, _ in fields), np.array(encodings, np.int64), codec, sync)


def _take_long(source: Input) -> int:
    """Return the next zigzag varint of the header. UsageError at its end."""
    if source.offset > MOST_HEADER_BYTES or (value := _take_number(source, source.take(1))) is None:
        raise UsageError(f"{source.name}: its Avro header does not end")
    return value


def _take_bytes(source: Input) -> bytes:
    size = _take_long(source)
    if not 0 <= size <= MOST_HEADER_BYTES:
        raise UsageError(f"{source.name}: an entry of its Avro header claims {size:,} bytes")
    data = source.take(size)
    if len(data) < size:
        raise UsageError(f"{source.name}: its Avro header does not end")
    return data


def read_columns(source: Input, notes: Notes, schema: Schema, wanted: tuple[str, ...]) -> Iterator[NDArray[np.int64]]:
    """Yield the values of number fields in batches: a row for each record, a column for each wanted name.

    Notes damage, and leaves out what follows it.
    """
    columns = np.full(len(schema.names), UNUSED, np.int64)
    for column, name in enumerate(wanted):
        columns[schema.names.index(name)] = column
        if schema.encodings[schema.names.index(name)] != VARINT:
            raise UsageError(f"{source.name}: field {name!r} of its Avro schema is not a number")
    while True:
        at = source.offset
        block = _take_block(source, notes, schema, at)
        if block is None:
            return
        count, data = block
        packed, place, read, full = np.frombuffer(data, np.uint8), np.zeros(1, np.int64), 0, True
        # A record of no bytes would let a block of none claim any number: such a schema has no wanted field.
        while full and read < count:
            rows = np.zeros((min(count - read, BATCH_RECORDS), len(wanted)), np.int64)
            found = _read_records(packed, schema.encodings, columns, rows, place)
            if found:
                yield rows[:found]
            read += found
            full = found == len(rows)
        if read < count:
            notes.damage.append(f"{source.name}: the block at byte {at:,} has {read:,} of {count:,} records")
            return


def _take_block(source: Input, notes: Notes, schema: Schema, at: int) -> tuple[int, bytes] | None:
    """Return the number of records and the bytes of the next block; None at the end, or at damage, which is noted."""
    first = source.take(1)
    if not first:
        return None
    count, size = _take_number(source, first), _take_number(source, source.take(1))
    if count is None or size is None or count < 0 or not 0 <= size <= MOST_BLOCK_BYTES:
        problem = "no block"
    else:
        packed = source.take(size)
        if len(packed) == size and source.take(SYNC_BYTES) == schema.sync:
            try:
                return count, _CODECS[schema.codec](packed)
            except (ValueError, zlib.error, zstandard.ZstdError) as error:
                problem = str(error)
        else:
            problem = "cut short"
    notes.damage.append(f"{source.name}: the block at byte {at:,} cannot be read: {problem}: the rest is left out")
    return None


def _take_number(source: Input, byte: bytes) -> int | None:
    """Return the zigzag varint that begins with a byte; None if the file ends in it, or it is too long."""
    value = 0
    for place in range(LONGEST_VARINT):
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < _CONTINUED:
            return (value >> 1) ^ -(value & 1)
        byte = source.take(1)
    return None


def _unsnap(data: bytes) -> bytes:
    """Unpack a block of snappy, whose last four bytes are the CRC-32 of what it holds."""
    try:
        from cramjam import snappy  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError("files compressed with snappy need cramjam: pip install 'liveness[flowtuple]'") from error
    size, place = 0, 0
    for place in range(min(len(data), _LONGEST_SIZE)):
        size |= (data[place] & 0x7F) << 7 * place
        if data[place] < _CONTINUED:
            break
    if size > MOST_BLOCK_BYTES:
        raise ValueError(f"it is larger than {MOST_BLOCK_BYTES:,} bytes unpacked")
    try:
        plain = bytes(snappy.decompress_raw(data[:-_CRC_BYTES]))
    except Exception as error:  # cramjam's own error has no common base with the others
        raise ValueError(str(error).partition("\n")[0]) from error
    if zlib.crc32(plain) != int.from_bytes(data[-_CRC_BYTES:], "big"):
        raise ValueError("its checksum is wrong")
    return plain


def _inflate(data: bytes) -> bytes:
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = unpack.decompress(data, MOST_BLOCK_BYTES)
    if not unpack.eof:
        raise ValueError(f"it is cut short, or larger than {MOST_BLOCK_BYTES:,} bytes unpacked")
    return plain


def _unzstd(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=MOST_BLOCK_BYTES).stream_reader(data) as reader:
        plain = reader.read(MOST_BLOCK_BYTES + 1)
    if len(plain) > MOST_BLOCK_BYTES:
        raise ValueError(f"it is larger than {MOST_BLOCK_BYTES:,} bytes unpacked")
    return plain


_CODECS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "null": bytes,
    "deflate": _inflate,
    "snappy": _unsnap,
    "zstandard": _unzstd,
}


@kernel
def _varint(data: NDArray[np.uint8], at: int, numbers: NDArray[np.int64]) -> int:
    """Decode a zigzag varint to numbers[0]; return the index after it, -1 if the data ends in it."""
    value = uint64(0)
    for place in range(LONGEST_VARINT):
        if at + place >= len(data):
            return -1
        byte = uint64(data[at + place])
        value |= (byte & uint64(0x7F)) << uint64(7 * place)
        if byte < uint64(0x80):
            # Zigzag: the lowest bit is the sign.
            magnitude = int64(value >> uint64(1))
            numbers[0] = -magnitude - 1 if value & uint64(1) else magnitude
            return at + place + 1
    return -1


@kernel
def _skip(data: NDArray[np.uint8], at: int, encoding: int, numbers: NDArray[np.int64]) -> int:
    """Return the index after a field; -1 if the data ends in it. The value of a number is left in numbers[0]."""
    if encoding in (VARINT, LENGTH):
        at = _varint(data, at, numbers)
        if at < 0 or encoding == VARINT:
            return at
        # Compared before it is added: a length near 2**63 would wrap.
        if numbers[0] < 0 or numbers[0] > len(data) - at:
            return -1
        return int64(at + numbers[0])
    if encoding == FIXED8:
        at += 8
    elif encoding == FIXED4:
        at += 4
    elif encoding == FIXED1:
        at += 1
    return at if at <= len(data) else -1


@kernel
def _read_records(
    data: NDArray[np.uint8],
    encodings: NDArray[np.int64],
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
    place: NDArray[np.int64],
) -> int:
    """Decode records to rows, until these are full or the data ends; return the number of whole records.

    They begin at byte place[0], which is then the one after the last.
    """
    numbers = np.zeros(1, np.int64)
    at = int64(place[0])
    for row in range(len(rows)):
        for field in range(len(encodings)):
            at = _skip(data, at, encodings[field], numbers)
            if at < 0:
                return row
            if columns[field] != UNUSED:
                rows[row, columns[field]] = numbers[0]
    place[0] = at
    return len(rows)
