"""A spool: accepted replies as the receiver writes them, raw, until they are converted to Parquet."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.reading import open_regular
from liveness.replies import MOST_FIRST_BYTES, REPLY_DTYPE

SUFFIX: Final = ".spool"
MAGIC: Final = b"liveness spool 1\n"
MAX_HEADER_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Spool:
    """The whole replies of a spool, the names of the run's probes, and the bytes of an incomplete last reply."""

    replies: NDArray[np.void]
    probes: tuple[str, ...]
    cut_bytes: int


class _Header(msgspec.Struct, frozen=True):
    """The line after the magic. The layout is compared and never used: a file must not decide how memory is read."""

    probes: tuple[str, ...]
    dtype: list[tuple[str, str]]


def record_dtype(first_bytes: int | None) -> np.dtype[np.void]:
    """Return the layout of records: replies, with protocol and first bytes of their data unless that is None."""
    if first_bytes is None:
        return REPLY_DTYPE
    data = [("data_bytes", "<u2"), ("data", f"V{first_bytes}")] if first_bytes else []
    return np.dtype([*REPLY_DTYPE.descr, ("protocol", "u1"), *data])


def clear_rest(records: NDArray[np.void]) -> None:
    """Zero what follows the data of each record (contiguous, modified): it is of other replies."""
    if "data" not in (records.dtype.names or ()):
        return
    size = records.dtype["data"].itemsize
    rows = records.view(np.uint8).reshape(len(records), records.dtype.itemsize)
    rows[:, -size:][np.arange(size) >= records["data_bytes"][:, None]] = 0


def _layout_of(dtype: np.dtype[np.void]) -> list[tuple[str, str]]:
    return [(str(name), str(kind)) for name, kind, *_ in dtype.descr]


def _known_dtype(layout: list[tuple[str, str]]) -> np.dtype[np.void] | None:
    """Return the dtype of a layout that spools have, or None."""
    for first_bytes in (None, *range(MOST_FIRST_BYTES + 1)):
        dtype = record_dtype(first_bytes)
        if _layout_of(dtype) == layout:
            return dtype
    return None


def spool_header(probes: tuple[str, ...], dtype: np.dtype[np.void]) -> bytes:
    """Return the beginning of a spool, which has the layout of its records, so that no version misreads them."""
    return MAGIC + json.dumps({"probes": probes, "dtype": dtype.descr}).encode() + b"\n"


def read_spool(path: Path) -> Spool:
    """Read a spool, which may be incomplete or still being written; the records stay on disk, mapped.

    Raises LivenessError that names the file if it cannot be read or is not a spool; FileNotFoundError passes, since a
    spool that is gone was converted.
    """
    try:
        with open_regular(path) as file:
            magic = file.readline(MAX_HEADER_BYTES)
            line = file.readline(MAX_HEADER_BYTES)
            start = file.tell()
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LivenessError(f"{path}: cannot read this spool: {error.strerror}") from error
    if MAGIC.startswith(magic) and not line.endswith(b"\n"):  # a crash at its beginning
        return Spool(np.zeros(0, REPLY_DTYPE), (), size)
    try:
        header = msgspec.json.decode(line if magic == MAGIC else b"", type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LivenessError(f"{path}: not a spool of replies, or its beginning is damaged: move it away") from error
    dtype = _known_dtype(header.dtype)
    if dtype is None:
        raise LivenessError(
            f"{path}: its records lie as in no spool of this version: read it with the one that wrote it"
        )
    count, cut = divmod(size - start, dtype.itemsize)
    try:
        records = np.memmap(path, dtype, "r", start, (count,)) if count else np.zeros(0, dtype)
    except (OSError, ValueError) as error:  # truncated in the meantime
        raise LivenessError(f"{path}: cannot read this spool: {error}") from error
    return Spool(records, header.probes, cut)
