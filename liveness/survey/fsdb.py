"""ANT's survey records as text: fsdb with the columns ``reply_type time_s rtt_us ttl probe_addr reply_addr``.

Values are separated by tabs; headers mix tabs and spaces. Addresses are dotted or hexadecimal, 0.0.0.0 means none.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from liveness.errors import LivenessError, UsageError
from liveness.space.addresses import format_address, parse_address, shown
from liveness.survey.ant import open_plain
from liveness.survey.records import NO_REPLY, OLD_NO_REPLY, RECORD, Batches, Notes, Records

COLUMNS: Final = ("reply_type", "time_s", "rtt_us", "ttl", "probe_addr", "reply_addr")
HEADER: Final = "#fsdb -F t " + " ".join(COLUMNS)
BATCH: Final = 1 << 16
LINE_CHARS: Final = 4096
LONGEST_LINE: Final = 1 << 16
"""Characters of a line that are read at most: a damaged bzip2 file of a few bytes may be one line of gigabytes."""
TTL: Final = (64, 0)
"""Written of a reply, and of none: a survey of bits does not keep them."""
_HEX: Final = re.compile(r"(?:0x)?[0-9a-fA-F]{8}")


def is_fsdb(head: bytes) -> bool:
    """Return whether a file that begins with `head` is fsdb of any columns."""
    return head.startswith((b"#fsdb ", b"#fsdb\t"))


def header_columns(line: str, path: Path) -> list[str]:
    """Return the columns that a header line names. UsageError for another separator than tabs, which we read."""
    words = line.split()
    names = words[1:]
    if names[:1] == ["-F"]:
        if names[1:2] not in (["t"], ["D"]):
            raise UsageError(f"{path}:1: separator {shown(' '.join(names[1:2]))}: only tabs (-F t) are read")
        names = names[2:]
    return names


def read_fsdb(path: Path, notes: Notes) -> Batches:
    """Yield the records of a text file in its order. Errors name the file, the line and the value."""
    import io  # noqa: PLC0415 - for text over bzip2

    try:
        with open_plain(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", errors="replace") as file:
            names = header_columns(file.readline(LINE_CHARS), path)
            missing = [name for name in COLUMNS if name not in names and name != "ttl"]
            if missing:
                raise UsageError(f"{path}:1: no column {missing[0]} in the header: it takes {' '.join(COLUMNS)}")
            places: dict[str, int] = {name: names.index(name) for name in COLUMNS if name in names}
            yield from _batches(file, path, places, len(names), notes)
    except EOFError as problem:
        raise LivenessError(f"{path}: cut short: its bzip2 stream has no end") from problem
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror or problem}") from problem


def lines_after_header(file: TextIO, path: Path) -> Iterator[str]:
    """Yield the lines of a text file whose first line was read. LivenessError for one that does not seem to end."""
    for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), ""), 2):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise LivenessError(f"{path}:{number}: a line of more than {LONGEST_LINE:,} characters: a damaged file")
        yield line


def _batches(file: TextIO, path: Path, places: dict[str, int], width: int, notes: Notes) -> Batches:
    line_number = 1
    following = lines_after_header(file, path)
    while lines := list(islice(following, BATCH)):
        rows = []
        for line in lines:
            line_number += 1
            if line.startswith("#") or not line.strip():
                continue
            rows.append(_row(line.rstrip("\r\n"), path, line_number, places, width))
        notes.records += len(rows)
        records = np.array(rows, RECORD)
        records["icmp_type"][records["icmp_type"] == OLD_NO_REPLY] = NO_REPLY
        yield records


def _row(line: str, path: Path, number: int, places: dict[str, int], width: int) -> tuple[int, ...]:
    cells = line.split("\t")
    if len(cells) != width:
        cells = line.split()
    if len(cells) != width:
        raise LivenessError(f"{path}:{number}: {len(cells)} values, where the header has {width} columns")

    def whole(name: str, top: int) -> int:
        text = cells[places[name]]
        try:
            value = int(text, 16) if text.startswith("0x") else int(text)
        except ValueError:
            value = -1
        if not 0 <= value <= top:
            raise LivenessError(f"{path}:{number}: {name} {shown(text)} is not a whole number up to {top:,}")
        return value

    def address(name: str) -> int:
        text = cells[places[name]]
        if text == "-":  # fsdb's word for no value
            return 0
        if _HEX.fullmatch(text):
            return int(text, 16)
        try:
            return parse_address(text)
        except ValueError:
            raise LivenessError(f"{path}:{number}: {name} {shown(text)} is not an address") from None

    return (
        whole("time_s", 2**32 - 1),
        whole("rtt_us", 2**32 - 1),
        address("probe_addr"),
        address("reply_addr"),
        whole("reply_type", 255),
    )


def encode_fsdb(records: Records) -> str:
    """Return records as lines, without the header."""
    columns = (records[name].tolist() for name in ("icmp_type", "time_s", "rtt_us", "probe", "reply"))
    return "".join(
        f"{kind}\t{time_s}\t{rtt_us}\t{TTL[kind == NO_REPLY]}\t{format_address(probe)}\t{format_address(reply)}\n"
        for kind, time_s, rtt_us, probe, reply in zip(*columns, strict=True)
    )
