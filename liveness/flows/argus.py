"""Reader of flows as Argus' ra prints them in JSON (ra -M json of argus-clients 5), an object a line.

The layout is that of the program: of its source (openargus/clients 5.0.3, common/argus_util.c, ArgusPrintRecord) and of
what it prints of captures. A field without a value is left out, null or empty, by ra's own settings; a value is quoted
unless it looks like a number; an ICMP type is a hexadecimal port, which is no JSON.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from liveness.errors import UsageError
from liveness.flows.protocols import PROTOCOLS
from liveness.flows.record import (
    BATCH_RECORDS,
    FLOW_DTYPE,
    MARK_REVERSE,
    PROTOCOL_ICMP,
    READ_BYTES,
    Flows,
    Input,
    Notes,
    icmp_answer,
)
from liveness.flows.table_queries import ARGUS_COLUMNS
from liveness.flows.tables import MOST_NOTES
from liveness.space.addresses import parse_address

LONGEST_LINE: Final = 1 << 20
REMEDY: Final = f"print it with ra -r FILE -M json -u -n -s {ARGUS_COLUMNS}"
_WRAPPED: Final = b'{"ArgusData":['
_LARGEST_NUMBER: Final = 255
_LATEST_NS: Final = 2**63 - 1
"""What a record's times can be: until the year 2262."""
_SECONDS: Final = re.compile(r"(\d{1,10})(?:\.(\d{1,9})\d*)?")
_COUNT: Final = re.compile(r"\d{1,19}")
_PORT: Final = re.compile(r"0x[0-9A-Fa-f]{1,8}|\d{1,8}")
_HEXADECIMAL: Final = re.compile(rb'("[a-z]+"):(0x[0-9A-Fa-f]+)(?=[,} ])')


class Row(msgspec.Struct):
    """The fields of a line that are used, as ra printed them."""

    type: msgspec.Raw = msgspec.Raw()
    stime: msgspec.Raw = msgspec.Raw()
    ltime: msgspec.Raw = msgspec.Raw()
    proto: msgspec.Raw = msgspec.Raw()
    saddr: msgspec.Raw = msgspec.Raw()
    daddr: msgspec.Raw = msgspec.Raw()
    sport: msgspec.Raw = msgspec.Raw()
    dport: msgspec.Raw = msgspec.Raw()
    spkts: msgspec.Raw = msgspec.Raw()
    dpkts: msgspec.Raw = msgspec.Raw()
    sbytes: msgspec.Raw = msgspec.Raw()
    dbytes: msgspec.Raw = msgspec.Raw()


FLOW_TYPES: Final = ("flow", "nflo", "aflo")
"""Flows of Argus itself, from NetFlow, and aggregated ones."""
SENSOR_TYPES: Final = ("man", "evnt", "evt")
"""Lines about the sensor and its machine."""
REQUIRED: Final = ("stime", "proto", "saddr", "daddr", "spkts", "dpkts")
_DECODER: Final = msgspec.json.Decoder(Row)


def recognise(head: bytes) -> bool:
    """Return whether a file begins with an object of ra."""
    line = head.partition(b"\n")[0].removeprefix(_WRAPPED)
    return re.match(rb'\{ ?"type":"(flow|nflo|aflo|man|evnt|evt)"', line) is not None


def read(source: Input, notes: Notes) -> Iterator[Flows]:
    """Yield the flows of what ra printed. UsageError if it printed other columns than these.

    Lines that are no JSON are damage; rows without an IPv4 address, a time or a protocol are counted.
    """
    exporter = notes.exporter(source.name)
    rows: list[tuple[int, ...]] = []
    checked = False
    damaged = 0
    for number, at, line in _lines(source):
        row = _decoded(line)
        if row is None:
            damaged += 1
            if damaged <= MOST_NOTES:
                notes.damage.append(f"{source.name}: line {number:,} at byte {at:,} cannot be read: left out")
            continue
        kind = _text(row.type)
        if kind not in FLOW_TYPES:
            if kind not in SENSOR_TYPES:
                notes.undecoded["rows that are no flows"] += 1
            continue
        if not checked:
            _check(row, f"{source.name}: line {number:,}")
            checked = True
        _add(row, exporter, rows, notes)
        if len(rows) >= BATCH_RECORDS:
            yield np.array(rows, FLOW_DTYPE)
            rows.clear()
    if damaged > MOST_NOTES:
        notes.damage.append(f"{source.name}: further lines cannot be read: left out")
    if rows:
        yield np.array(rows, FLOW_DTYPE)


def _lines(source: Input) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, place and content of each line that is not empty; one longer than LONGEST_LINE comes in parts."""
    number, at, left = 1, 0, b""
    while True:
        data = source.take(READ_BYTES)
        *whole, left = (left + data).split(b"\n")
        if not data or len(left) > LONGEST_LINE:
            whole, left = [*whole, left], b""
        for line in whole:
            if line.strip():
                yield number, at, line
            number += 1
            at += len(line) + 1
        if not data:
            return


def _decoded(line: bytes) -> Row | None:
    """Return the row of a line; None if it is no JSON object."""
    line = line.strip().removeprefix(_WRAPPED).removesuffix(b"]}").removesuffix(b",")
    if b":0x" in line:
        line = _HEXADECIMAL.sub(rb'\1:"\2"', line)
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _text(raw: msgspec.Raw) -> str:
    """Return a value as text, without its quotes; nothing for null."""
    text = bytes(raw).decode("utf-8", "replace").strip()
    return "" if text == "null" else text.strip('"').strip()


def _check(row: Row, where: str) -> None:
    """Raise UsageError unless a row has the fields that are needed, and a time that does not depend on where ra ran."""
    for name in REQUIRED:
        if not _text(getattr(row, name)):
            raise UsageError(f"{where}: no {name}: {REMEDY}")
    if not _SECONDS.fullmatch(_text(row.stime)):
        raise UsageError(f"{where}: stime: {_text(row.stime)[:40]!r} is no number of seconds since 1970: {REMEDY}")


def _time_ns(text: str) -> int | None:
    match = _SECONDS.fullmatch(text)
    if match is None:
        return None
    time_ns = int(match[1]) * 10**9 + int((match[2] or "0").ljust(9, "0"))
    return time_ns if time_ns <= _LATEST_NS else None


def _count(raw: msgspec.Raw) -> int:
    text = _text(raw)
    return int(text) if _COUNT.fullmatch(text) else 0


def _port(raw: msgspec.Raw) -> int:
    text = _text(raw)
    return int(text, 16 if text.startswith("0x") else 10) & 0xFFFF if _PORT.fullmatch(text) else 0


def _protocol(text: str) -> int | None:
    number = int(text) if _COUNT.fullmatch(text) else PROTOCOLS.get(text.lower(), -1)
    return number if 0 <= number <= _LARGEST_NUMBER else None


def _address(text: str) -> int | None:
    try:
        return parse_address(text)
    except ValueError:
        return None


def _add(row: Row, exporter: int, rows: list[tuple[int, ...]], notes: Notes) -> None:
    """Append the records of a row, one for each direction with packets, or note why there are none."""
    sent, answered = _count(row.spkts), _count(row.dpkts)
    source_text, destination_text = _text(row.saddr), _text(row.daddr)
    start_ns, protocol = _time_ns(_text(row.stime)), _protocol(_text(row.proto))
    source, destination = _address(source_text), _address(destination_text)
    if source is None or destination is None or start_ns is None or protocol is None:
        six = ":" in source_text and ":" in destination_text
        reason = "IPv6 records" if six else "rows without time, address or protocol"
        notes.undecoded[reason] += 2 if sent and answered else 1
        return
    end_ns = _time_ns(_text(row.ltime))
    times = (start_ns, start_ns if end_ns is None else end_ns)
    sport, dport = _port(row.sport), _port(row.dport)
    back_sport, back_dport = dport, sport
    if protocol == PROTOCOL_ICMP:
        # Type and code are one port, in the byte order of the machine that saw them (ra's own machine, as a rule).
        kind = (sport & 255) * 256 + (sport >> 8)
        sport, dport = 0, kind
        back_sport, back_dport = 0, icmp_answer(kind)
    if sent or not answered:
        counts = (sent, _count(row.sbytes))
        rows.append((*times, *counts, source, destination, sport, dport, protocol, 0, 0, 0, exporter, 0, 0, 0))
    if answered:
        counts = (answered, _count(row.dbytes))
        ends = (destination, source, back_sport, back_dport)
        rows.append((*times, *counts, *ends, protocol, 0, 0, MARK_REVERSE, exporter, 0, 0, 0))
