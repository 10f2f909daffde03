"""Kernels that read whole lines: a list of entries, a column of CSV, the commands of ipset.

All begin at `at`, write inclusive bounds into `low` and `high` from `count` on, and return the new count and where they
stopped: the text's end, or the start of the first line that is not in the plain form, which the caller reads in Python.
So the common case is fast, and Python code decides what is an error. The text must end with a newline.
"""

from typing import Final

import numpy as np

from liveness.ipsets.formats.entries import (
    COMMA,
    HASH,
    NEWLINE,
    NONE,
    QUOTE,
    RETURN,
    SPACE,
    Bounds,
    Bytes,
    address_at,
    entry_at,
    line_end,
    matches,
    skip_blanks,
)
from liveness.kernel import kernel

NOMATCH: Final = np.frombuffer(b"nomatch", np.uint8)
FIRST_OF_NOMATCH: Final = NOMATCH[0]


@kernel
def scan_list(text: Bytes, at: int, low: Bounds, high: Bounds, count: int) -> tuple[int, int]:
    """Read lines of one entry each, with blank lines and ``#`` comments."""
    while at < text.size:
        start = at
        at = skip_blanks(text, at)
        if text[at] not in (NEWLINE, HASH):
            first, last, at = entry_at(text, at)
            if at == NONE:
                return count, start
            at = skip_blanks(text, at)
            if text[at] not in (NEWLINE, HASH):
                return count, start
            low[count] = first
            high[count] = last
            count += 1
        at = line_end(text, at) + 1
    return count, text.size


@kernel
def quoted_end(text: Bytes, at: int) -> int:
    """Return the place behind the CSV field quoted from `at` on; `NONE` if its line ends before the quote does."""
    at += 1
    while at < text.size and text[at] != NEWLINE:
        if text[at] == QUOTE:
            if at + 1 >= text.size or text[at + 1] != QUOTE:  # a quote within the field is written twice
                return at + 1
            at += 1
        at += 1
    return NONE


@kernel
def column_at(text: Bytes, at: int, column: int) -> int:
    """Return where a column (from 0) of the CSV line at `at` begins; `NONE` if the line has no such column."""
    for _ in range(column):
        if text[at] == QUOTE:
            at = quoted_end(text, at)
            if at == NONE:
                return NONE
        while text[at] not in (COMMA, NEWLINE):
            at += 1
        if text[at] == NEWLINE:
            return NONE
        at += 1
    return at


@kernel
def field_at(text: Bytes, at: int) -> tuple[int, int]:
    """Return the address that the CSV field at `at` is, quoted or not, and the place behind; `NONE` if it is none."""
    quoted = text[at] == QUOTE
    value, at = address_at(text, at + 1 if quoted else at)
    if at != NONE and quoted:
        at = at + 1 if text[at] == QUOTE else NONE
    if at != NONE and text[at] == RETURN:
        at += 1
    if at != NONE and text[at] not in (COMMA, NEWLINE):
        at = NONE
    return value, at


@kernel
def scan_csv(text: Bytes, at: int, low: Bounds, high: Bounds, count: int, column: int) -> tuple[int, int]:
    """Read the addresses in one column (from 0) of CSV lines."""
    while at < text.size:
        start = at
        if text[skip_blanks(text, at)] != NEWLINE:
            at = column_at(text, at, column)
            if at == NONE:
                return count, start
            value, at = field_at(text, at)
            if at == NONE:
                return count, start
            low[count] = value
            high[count] = value
            count += 1
        at = line_end(text, at) + 1
    return count, text.size


@kernel
def scan_ipset(text: Bytes, at: int, low: Bounds, high: Bounds, count: int, command: Bytes) -> tuple[int, int]:
    """Read lines that begin with `command` (``add NAME`` and a space).

    What follows the entry, such as a timeout, is passed over; a line with the word ``nomatch`` is left to the caller.
    """
    while at < text.size:
        start = at
        if not matches(text, at, command):
            return count, start
        first, last, at = entry_at(text, at + command.size)
        if at == NONE or text[at] not in (SPACE, RETURN, NEWLINE):
            return count, start
        while text[at] != NEWLINE:
            if text[at] == FIRST_OF_NOMATCH and matches(text, at, NOMATCH):
                return count, start
            at += 1
        low[count] = first
        high[count] = last
        count += 1
        at += 1
    return count, text.size
