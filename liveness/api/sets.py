"""Set files of any format, read and written."""

import os
from pathlib import Path

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.files import Reader
from liveness.ipsets.files import write_set as write_file
from liveness.ipsets.formats.codec import PLAIN
from liveness.ipsets.formats.table import FORMATS, READABLE, output_format


def read_set(path: str | Path, format: str | None = None) -> BitMap:  # noqa: A002 - the word of the command line
    """Return the addresses in a set file, as numbers in host order.

    The format is found by content, then by suffix, unless it is named: `roaring`, `text`, `csv`, `silk` and the others
    of `liveness sets`.

    Raises UsageError that names the file and what is wrong with it.
    """
    if format is not None and format not in READABLE:
        raise UsageError(f"format {format!r}: expected one of {', '.join(READABLE)}")
    return Reader(format).read(_named(path)).addresses


def write_set(
    addresses: BitMap,
    path: str | Path,
    format: str | None = None,  # noqa: A002 - the word of the command line
) -> None:
    """Write addresses to a file in the format that its suffix names, or in the one given.

    The file is replaced whole, by rename. Raises UsageError for a suffix or format that is not known, and LivenessError
    that names the file when it cannot be written.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"format {format!r}: expected one of {', '.join(FORMATS)}")
    name = _named(path)
    write_file(name, addresses, output_format(name, format), PLAIN)


def _named(path: str | Path) -> str:
    """Return a path as a name that is never taken for standard input or output."""
    name = os.fspath(path)
    return "./-" if name == "-" else name
