"""A spool: accepted replies as the receiver writes them down, raw, until they are turned into Parquet."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.types import REPLY_DTYPE

SUFFIX: Final = ".spool"
MAGIC: Final = b"liveness spool 1\n"
MAX_HEADER_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Spool:
    """The whole replies of a spool, the names of the run's probes, and how many bytes of a cut last one there are."""

    replies: NDArray[np.void]
    probes: tuple[str, ...]
    cut_bytes: int


def spool_header(probes: tuple[str, ...], dtype: np.dtype[np.void]) -> bytes:
    """Return what a spool begins with: it says itself how its records lie, should another version read it."""
    return MAGIC + json.dumps({"probes": probes, "dtype": dtype.descr}).encode() + b"\n"


def read_spool(path: Path) -> Spool:
    """Read a spool, be it cut anywhere or still written; the records stay on disk, mapped.

    Raises LivenessError that names the file if it cannot be read or is none; FileNotFoundError passes, since a spool
    that is gone has been turned into Parquet.
    """
    try:
        with path.open("rb") as file:
            magic = file.readline(MAX_HEADER_BYTES)
            line = file.readline(MAX_HEADER_BYTES)
            start = file.tell()
        size = path.stat().st_size
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LivenessError(f"{path}: cannot read this spool: {error.strerror}") from error
    if MAGIC.startswith(magic) and not line.endswith(b"\n"):  # a crash as it began
        return Spool(np.zeros(0, REPLY_DTYPE), (), size)
    try:
        header = json.loads(line) if magic == MAGIC else {}
        dtype = np.dtype([(str(name), str(kind)) for name, kind in header["dtype"]])
        probes = tuple(str(name) for name in header["probes"])
    except (ValueError, TypeError, KeyError) as error:
        raise LivenessError(f"{path}: not a spool of replies, or its beginning is damaged: move it away") from error
    count, cut = divmod(size - start, dtype.itemsize)
    records = np.memmap(path, dtype, "r", start, (count,)) if count else np.zeros(0, dtype)
    return Spool(records, probes, cut)
