"""Trinocular's raw outage data as text: a line for each block and round, with the verdict and the probes behind it.

Source: https://ant.isi.edu/datasets/outage/format.html. The columns are found by their names, so older files are read
too: those without `rtt_us` (before a20), with `a_long`, and without `probe_log` (before a18), which have verdicts only.

`probe_log` is base64 of groups: a byte `count << 3 | flags`, followed by `count` last octets. The flags are not
described there. The sample on that page, ``CiQ=`` with one positive probe, has flags 2, so bit 1 is read as a positive
response. A log whose responses do not add up to `n_pos` and `n_neg` is counted and left out; its verdict is used.
"""

import base64
import binascii
import io
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError, UsageError
from liveness.planes.verdicts import DOWN, UNCERTAIN, UP
from liveness.space.addresses import shown
from liveness.survey.ant import open_plain
from liveness.survey.fsdb import LINE_CHARS, header_columns, lines_after_header
from liveness.survey.records import Notes

COLUMNS: Final = (
    "block", "round_no", "round_start_epoch", "a_short", "a_oper", "status", "belief", "n_pos", "n_neg", "probe_log",
)  # fmt: skip
HEADER: Final = "#fsdb -F t " + " ".join(COLUMNS)
"""The header that is written, that of a18: planes of bits keep no round-trip times."""
REQUIRED: Final = ("block", "round_start_epoch", "status")
COUNTS: Final = ("n_pos", "n_neg")
LOG: Final = "probe_log"
NO_VALUE: Final = "-"
BATCH: Final = 1 << 14
POSITIVE_FLAG: Final = 2
FLAG_BITS: Final = 3
MOST_IN_GROUP: Final = 31
BLOCK_DIGITS: Final = (6, 8)
"""Hexadecimal digits of a block; older files (A7) leave out the last octet, 00."""
LATEST_S: Final = 2**32 - 1
CONTRADICTS: Final = "probe logs that contradict n_pos and n_neg"

ROUND: Final = np.dtype([("block", "<u4"), ("time_s", "<i8"), ("status", "u1")])
"""A line: the /24 (address >> 8), the start of its round, and the verdict."""
PROBE: Final = np.dtype([("line", "<i8"), ("octet", "u1"), ("positive", "?")])
"""A probe: the index of its line in the batch, the last octet probed, and the response."""


class Batch(NamedTuple):
    """Lines of a file with their probes."""

    rounds: NDArray[np.void]
    probes: NDArray[np.void]


def is_trinocular(path: Path) -> bool:
    """Return whether a file's first line is a header of this format; False for a file that cannot be read."""
    try:
        with open_plain(path) as raw:
            line = raw.readline(LINE_CHARS).decode("utf-8", "replace")
    except (OSError, EOFError):
        return False
    return line.startswith(("#fsdb ", "#fsdb\t")) and "round_start_epoch" in line.split()


def read_trinocular(path: Path, notes: Notes) -> Iterator[Batch]:
    """Yield the lines of a file in its order. LivenessError names the file, the line and the value."""
    try:
        with open_plain(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", errors="replace") as file:
            names = header_columns(file.readline(LINE_CHARS), path)
            missing = [name for name in REQUIRED if name not in names]
            if missing:
                raise UsageError(f"{path}:1: no column {missing[0]} in the header: it takes {' '.join(COLUMNS)}")
            yield from _batches(lines_after_header(file, path), _Lines(path, names, notes))
    except EOFError as problem:
        raise LivenessError(f"{path}: cut short: its bzip2 stream has no end") from problem
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read: {problem.strerror or problem}") from problem


def _batches(following: Iterator[str], lines: "_Lines") -> Iterator[Batch]:
    number = 1
    while texts := list(islice(following, BATCH)):
        rounds: list[tuple[int, int, int]] = []
        probes: list[tuple[int, int, bool]] = []
        for text in texts:
            number += 1
            if text.startswith("#") or not text.strip():
                continue
            found, log = lines.parse(text.rstrip("\r\n"), number)
            probes += [(len(rounds), octet, positive) for octet, positive in log]
            rounds.append(found)
        lines.notes.records += len(rounds)
        yield Batch(np.array(rounds, ROUND), np.array(probes, PROBE))


class _Lines:
    """Parses the lines of one file by the columns of its header."""

    def __init__(self, path: Path, names: Sequence[str], notes: Notes) -> None:
        self.notes = notes
        self._path = path
        self._width = len(names)
        self._places = {name: names.index(name) for name in (*REQUIRED, *COUNTS, LOG) if name in names}

    def parse(self, line: str, number: int) -> tuple[tuple[int, int, int], list[tuple[int, bool]]]:
        """Return block, time and verdict of a line, and its probes in order."""
        cells = line.split("\t")
        if len(cells) != self._width:
            raise LivenessError(
                f"{self._path}:{number}: {len(cells)} values, where the header has {self._width} columns"
            )
        values = {name: cells[place] for name, place in self._places.items()}
        block = values["block"]
        try:
            digits = int(block, 16) if block.isalnum() and len(block) in BLOCK_DIGITS else -1
        except ValueError:
            digits = -1
        if digits < 0 or (len(block) == BLOCK_DIGITS[1] and digits & 0xFF):
            raise self._wrong(number, "block", block, "a /24 in hexadecimal, such as c0000200")
        status = values["status"]
        if status not in {str(state) for state in (DOWN, UP, UNCERTAIN)}:
            raise self._wrong(number, "status", status, "0 (down), 1 (up) or 2 (unknown)")
        time_s = self._number(values["round_start_epoch"], number, "round_start_epoch", LATEST_S)
        found = (digits >> 8 if len(block) == BLOCK_DIGITS[1] else digits), time_s, int(status)
        return found, self._log(values, number)

    def _log(self, values: dict[str, str], number: int) -> list[tuple[int, bool]]:
        text = values.get(LOG, NO_VALUE)
        if text == NO_VALUE:
            return []
        try:
            probes = decode_log(text)
        except ValueError as problem:
            raise self._wrong(number, LOG, text, str(problem)) from None
        counts = [
            self._number(values[name], number, name, LATEST_S)
            for name in COUNTS
            if values.get(name, NO_VALUE) != NO_VALUE
        ]
        positive = sum(answered for _, answered in probes)
        if len(counts) == len(COUNTS) and counts != [positive, len(probes) - positive]:
            self.notes.skip(CONTRADICTS)
            return []
        return probes

    def _number(self, text: str, line: int, name: str, top: int) -> int:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value <= top:
            raise self._wrong(line, name, text, f"a number up to {top:,}")
        return int(value)

    def _wrong(self, line: int, name: str, text: str, wanted: str) -> LivenessError:
        return LivenessError(f"{self._path}:{line}: {name} {shown(text)} is not {wanted}")


def decode_log(text: str) -> list[tuple[int, bool]]:
    """Return the last octet and the response of each probe of a log. ValueError says what the text is not."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("base64") from None
    probes = []
    at = 0
    while at < len(content):
        count, flags = content[at] >> FLAG_BITS, content[at] & (1 << FLAG_BITS) - 1
        octets = content[at + 1 : at + 1 + count]
        if len(octets) < count:
            raise ValueError(f"whole: the group at byte {at} has {count} addresses, and {len(octets)} follow")
        probes += [(octet, bool(flags & POSITIVE_FLAG)) for octet in octets]
        at += 1 + count
    return probes


def encode_log(probes: Sequence[tuple[int, bool]]) -> str:
    """Return the log of probes in order: groups of equal responses."""
    content = bytearray()
    at = 0
    while at < len(probes):
        end = at
        while end < len(probes) and end - at < MOST_IN_GROUP and probes[end][1] == probes[at][1]:
            end += 1
        content.append((end - at) << FLAG_BITS | (POSITIVE_FLAG if probes[at][1] else 0))
        content += bytes(octet for octet, _ in probes[at:end])
        at = end
    return base64.b64encode(content).decode()
