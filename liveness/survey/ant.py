"""ANT's binary survey format, version 3: big-endian records of 24 bytes, plain or bzip2.

Source: https://ant.isi.edu/datasets/address_surveys/format.html. A record of type 5 is data, one of type 6 is text
about the file. Replies later than some three seconds have records of their own without a probe, in whole seconds.
"""

import bz2
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from liveness.errors import LivenessError
from liveness.survey.records import NO_REPLY as NOTHING
from liveness.survey.records import OLD_NO_REPLY, RECORD, Batches, Notes, Records

RECORD_BYTES: Final = 24
LAYOUT: Final = np.dtype(
    [
        ("type", "u1"),
        ("length", "u1"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
        ("zero", ">u2"),
        ("flags", "u1"),
        ("ttl", "u1"),
        ("time_s", ">u4"),
        ("rtt_us", ">u4"),
        ("probe", ">u4"),
        ("reply", ">u4"),
    ]
)
DATA: Final = 5
TEXT: Final = 6
BATCH: Final = 1 << 18
BZIP2: Final = b"BZh"
_TTL: Final = 64


def is_ant(head: bytes) -> bool:
    """Return whether a file that begins with `head` is of this format, once bzip2 is undone."""
    return len(head) >= RECORD_BYTES and head[0] in (DATA, TEXT) and head[1] == RECORD_BYTES


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading, through bzip2 where its first bytes say so. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(len(BZIP2))
    return bz2.BZ2File(path) if head == BZIP2 else path.open("rb")  # type: ignore[return-value]


def read_ant(path: Path, notes: Notes) -> Batches:
    """Yield the records of a file in its order.

    LivenessError names the file and the offset of a record whose length is not 24, and of one that is cut short.
    """
    offset = 0
    try:
        with open_plain(path) as file:
            while content := _read_whole(file, BATCH * RECORD_BYTES):
                whole = len(content) // RECORD_BYTES
                raw = np.frombuffer(content, LAYOUT, whole)
                wrong = np.flatnonzero(raw["length"] != RECORD_BYTES)
                if len(wrong):
                    at = offset + int(wrong[0]) * RECORD_BYTES
                    length = int(raw["length"][wrong[0]])
                    raise LivenessError(f"{path}: offset {at:,}: a record of {length} bytes, where all have 24")
                yield _records(raw, notes)
                if len(content) % RECORD_BYTES:
                    at = offset + whole * RECORD_BYTES
                    raise LivenessError(f"{path}: offset {at:,}: a record is cut short: the file ends within it")
                offset += len(content)
    except EOFError as problem:
        raise LivenessError(f"{path}: cut short: its bzip2 stream has no end") from problem
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror or problem}") from problem


def _read_whole(file: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, or as many as there are left."""
    content = file.read(size)
    while content and len(content) < size:
        more = file.read(size - len(content))
        if not more:
            break
        content += more
    return content


def _records(raw: "np.ndarray[tuple[int], np.dtype[np.void]]", notes: Notes) -> Records:
    notes.records += len(raw)
    notes.skip("text", int((raw["type"] == TEXT).sum()))
    notes.skip("other record types", int(((raw["type"] != TEXT) & (raw["type"] != DATA)).sum()))
    data = raw[raw["type"] == DATA]
    records = np.empty(len(data), RECORD)
    for name in ("time_s", "rtt_us", "probe", "reply", "icmp_type"):
        records[name] = data[name]
    records["icmp_type"][records["icmp_type"] == OLD_NO_REPLY] = NOTHING
    return records


def encode_ant(records: Records) -> bytes:
    """Return records as the bytes of this format."""
    raw = np.zeros(len(records), LAYOUT)
    raw["type"], raw["length"] = DATA, RECORD_BYTES
    for name in ("time_s", "rtt_us", "probe", "reply", "icmp_type"):
        raw[name] = records[name]
    raw["ttl"] = np.where(records["icmp_type"] == NOTHING, 0, _TTL)
    return raw.tobytes()
