"""Flow files of one made-up traffic in several formats, as large as a benchmark wants them."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.nfcapd import BLOCK, HEADER, MAGIC

EPOCH_S: Final = 1_700_000_000
RECORDS_A_DATAGRAM: Final = 30
_BLOCK_RECORDS: Final = 8192
_RECORD: Final = np.dtype(
    [
        ("type", "<u2"), ("size", "<u2"), ("elements", "<u2"), ("engine", "<u2"), ("exporter", "<u2"), ("flags", "<u2"),
        ("generic", "<u2"), ("generic_size", "<u2"), ("first", "<u8"), ("last", "<u8"), ("received", "<u8"),
        ("packets", "<u8"), ("bytes", "<u8"), ("sport", "<u2"), ("dport", "<u2"), ("protocol", "u1"), ("tcp", "u1"),
        ("forward", "u1"), ("tos", "u1"), ("ipv4", "<u2"), ("ipv4_size", "<u2"), ("src", "<u4"), ("dst", "<u4"),
    ]
)  # fmt: skip
_EXPORTED: Final = np.dtype(
    [
        ("src", ">u4"), ("dst", ">u4"), ("input", ">u2"), ("output", ">u2"), ("packets", ">u4"), ("bytes", ">u4"),
        ("first", ">u4"), ("last", ">u4"), ("sport", ">u2"), ("dport", ">u2"), ("flags", "u1"), ("protocol", "u1"),
    ]
)  # fmt: skip
_V5: Final = np.dtype(
    [
        ("src", ">u4"), ("dst", ">u4"), ("hop", ">u4"), ("input", ">u2"), ("output", ">u2"), ("packets", ">u4"),
        ("bytes", ">u4"), ("first", ">u4"), ("last", ">u4"), ("sport", ">u2"), ("dport", ">u2"), ("pad", "u1"),
        ("flags", "u1"), ("protocol", "u1"), ("tos", "u1"), ("rest", "V8"),
    ]
)  # fmt: skip
_FIELDS: Final = ((8, 4), (12, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2), (6, 1), (4, 1))


def draw(count: int) -> dict[str, NDArray[np.int64]]:
    """Return columns of `count` flows."""
    random = np.random.default_rng(1)
    limits = {"src": 1 << 32, "dst": 1 << 32, "sport": 1 << 16, "dport": 1 << 16, "packets": 1000, "bytes": 1 << 20}
    return {name: random.integers(1, limit, count) for name, limit in limits.items()}


def write_nfcapd(path: Path, columns: dict[str, NDArray[np.int64]]) -> None:
    """Write an uncompressed nfcapd file."""
    count = len(columns["src"])
    rows = np.zeros(count, _RECORD)
    rows["type"], rows["size"], rows["elements"] = 11, _RECORD.itemsize, 2
    rows["generic"], rows["generic_size"], rows["ipv4"], rows["ipv4_size"] = 1, 52, 2, 12
    rows["first"], rows["last"], rows["protocol"], rows["tcp"] = EPOCH_S * 1000, EPOCH_S * 1000 + 5, 6, 0x1B
    for name, values in columns.items():
        rows[name] = values
    blocks = -(-count // _BLOCK_RECORDS)
    with path.open("wb") as file:
        file.write(struct.pack("<" + HEADER, MAGIC, 2, 0x010701, EPOCH_S, 0, 0, 0, 1, 0, 1 << 20, blocks))
        for first in range(0, count, _BLOCK_RECORDS):
            part = rows[first : first + _BLOCK_RECORDS].tobytes()
            file.write(struct.pack("<" + BLOCK, len(part) // _RECORD.itemsize, len(part), 3, 0) + part)


def write_v5(path: Path, columns: dict[str, NDArray[np.int64]]) -> None:
    """Write NetFlow v5 datagrams of 30 records one after another."""
    path.write_bytes(b"".join(v5_datagrams(columns)))


def v5_datagrams(columns: dict[str, NDArray[np.int64]]) -> list[bytes]:
    """Return NetFlow v5 datagrams of 30 records."""
    rows = np.zeros(len(columns["src"]), _V5)
    for name, values in columns.items():
        rows[name] = values
    rows["first"], rows["last"], rows["protocol"] = 900, 950, 6
    return [
        struct.pack(">HHIIIIBBH", 5, len(part), 1000, EPOCH_S, 0, first, 0, 0, 0) + part.tobytes()
        for first, part in _parts(rows)
    ]


def write_messages(path: Path, columns: dict[str, NDArray[np.int64]], version: int) -> None:
    """Write NetFlow v9 (9) or IPFIX (10) messages of 30 records one after another, the first with the template."""
    rows = np.zeros(len(columns["src"]), _EXPORTED)
    for name, values in columns.items():
        rows[name] = values
    rows["first"], rows["last"], rows["protocol"] = 900, 950, 6
    template = struct.pack(">HH", 256, len(_FIELDS)) + b"".join(struct.pack(">HH", *field) for field in _FIELDS)
    with path.open("wb") as file:
        for number, (first, part) in enumerate(_parts(rows)):
            sets = b"" if first else struct.pack(">HH", 0 if version == 9 else 2, 4 + len(template)) + template  # noqa: PLR2004
            content = part.tobytes()
            sets += struct.pack(">HH", 256, 4 + len(content)) + content
            if version == 9:  # noqa: PLR2004 - NetFlow's version
                file.write(struct.pack(">HHIIII", 9, 1, 1000, EPOCH_S, number, 0) + sets)
            else:
                file.write(struct.pack(">HHIII", 10, 16 + len(sets), EPOCH_S, first, 0) + sets)


def _parts(rows: NDArray[np.void]) -> Iterator[tuple[int, NDArray[np.void]]]:
    for first in range(0, len(rows), RECORDS_A_DATAGRAM):
        yield first, rows[first : first + RECORDS_A_DATAGRAM]


def write_capture(path: Path, columns: dict[str, NDArray[np.int64]], flows: int) -> None:
    """Write a pcap file of a packet a row, TCP of 60 bytes, over `flows` keys."""
    count = len(columns["src"])
    chosen = columns["src"] % flows
    frame = np.zeros((count, 16 + 54), np.uint8)
    record = np.zeros(count, np.dtype([("s", "<u4"), ("us", "<u4"), ("captured", "<u4"), ("length", "<u4")]))
    record["s"], record["us"] = EPOCH_S + np.arange(count) // 100_000, np.arange(count) % 100_000 * 10
    record["captured"] = record["length"] = 54
    frame[:, :16] = record.view(np.uint8).reshape(count, 16)
    head = bytes(12) + b"\x08\x00" + struct.pack("!BBHHHBBHII", 0x45, 0, 40, 0, 0, 64, 6, 0, 0, 0)
    frame[:, 16 : 16 + 34] = np.frombuffer(head, np.uint8)
    keys = np.zeros(count, np.dtype([("src", ">u4"), ("dst", ">u4"), ("sport", ">u2"), ("dport", ">u2")]))
    keys["src"], keys["dst"], keys["sport"], keys["dport"] = chosen + (10 << 24), 0xC0000201, chosen & 0xFFFF, 80
    frame[:, 16 + 26 : 16 + 38] = keys.view(np.uint8).reshape(count, 12)
    frame[:, 16 + 46] = 0x50
    frame[:, 16 + 47] = 0x10
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1) + frame.tobytes())
