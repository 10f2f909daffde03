"""The kernel that reads lines of JSON objects for one member each, as those of `scan` read their lines."""

from typing import Final

from liveness.ipsets.formats.entries import (
    COMMA,
    NEWLINE,
    NONE,
    QUOTE,
    Bounds,
    Bytes,
    address_at,
    line_end,
    matches,
    skip_blanks,
)
from liveness.kernel import int64, kernel

BACKSLASH, COLON, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST = b"\\:{}[]"
OWN: Final = 1
"""The depth of an object's own members."""


@kernel
def string_end(text: Bytes, at: int) -> int:
    """Return the place of the quote that ends the JSON string begun at `at`; `NONE` if its line ends before."""
    at += 1
    while at < text.size and text[at] != NEWLINE:
        if text[at] == QUOTE:
            return at
        at += 2 if text[at] == BACKSLASH else 1
    return NONE


@kernel
def member_value(text: Bytes, at: int) -> tuple[int, int]:
    """Return the address, a string, behind the key that ends before `at`, and the place of the quote that ends it.

    That place is `NONE` if there is none.
    """
    at = skip_blanks(text, at)
    if text[at] != COLON:
        return int64(0), NONE
    at = skip_blanks(text, at + 1)
    if text[at] != QUOTE:
        return int64(0), NONE
    value, at = address_at(text, at + 1)
    if at != NONE and text[at] != QUOTE:
        at = NONE
    return value, at


@kernel
def object_value(text: Bytes, at: int, key: Bytes) -> tuple[int, int]:
    """Return the address that `key` (with its quotes) has in the JSON object at `at`, and the place behind the object.

    That place is `NONE` if this is no object on one line with exactly one such member.
    """
    value, found, depth, expects_key = int64(0), 0, 0, False
    while text[at] != NEWLINE:
        byte = text[at]
        if byte == QUOTE:
            start, at = at, string_end(text, at)
            if at != NONE and expects_key and depth == OWN and at + 1 - start == key.size and matches(text, start, key):
                value, at = member_value(text, at + 1)
                found += 1
            if at == NONE:
                return value, NONE
            expects_key = False
        elif byte in (OPEN, OPEN_LIST):
            depth += 1
            expects_key = byte == OPEN
        elif byte in (CLOSE, CLOSE_LIST):
            depth -= 1
            if depth == 0:
                return value, at + 1 if found == 1 else NONE
        elif byte == COMMA:
            expects_key = depth == OWN
        at += 1
    return value, NONE


@kernel
def scan_json(text: Bytes, at: int, low: Bounds, high: Bounds, count: int, key: Bytes) -> tuple[int, int]:
    """Read the addresses that `key` (with its quotes) has in lines of one JSON object each."""
    while at < text.size:
        start = at
        at = skip_blanks(text, at)
        if text[at] != NEWLINE:
            if text[at] != OPEN:
                return count, start
            value, at = object_value(text, at, key)
            if at == NONE or text[skip_blanks(text, at)] != NEWLINE:
                return count, start
            low[count] = value
            high[count] = value
            count += 1
        at = line_end(text, at) + 1
    return count, text.size
