"""The kernel that reads the elements of an nftables set, which are not bound to lines."""

from liveness.ipsets.formats.entries import (
    COMMA,
    HASH,
    NEWLINE,
    NONE,
    QUOTE,
    RETURN,
    SPACE,
    TAB,
    Bounds,
    Bytes,
    entry_at,
    line_end,
    skip_blanks,
)
from liveness.ipsets.formats.scan import quoted_end
from liveness.kernel import kernel

EXPECTS_ENTRY, IN_OPTIONS, CLOSED, WRONG = range(4)
"""States of the kernel: before an entry, after one, after the brace that closes the set, or at a fault."""

CLOSE, LOWER_A, LOWER_Z = b"}az"


@kernel
def element_at(text: Bytes, at: int) -> tuple[int, int, int]:
    """Return the bounds of the element at `at` and the place of its options or its end; `NONE` if it is none."""
    first, last, at = entry_at(text, at)
    if at != NONE:
        at = skip_blanks(text, at)
        if at < text.size:
            byte = text[at]
            if byte not in (COMMA, CLOSE, NEWLINE, HASH) and (byte < LOWER_A or byte > LOWER_Z):
                at = NONE
    return first, last, at


@kernel
def scan_elements(text: Bytes, at: int, low: Bounds, high: Bounds, count: int, state: int) -> tuple[int, int, int]:
    """Read elements up to the brace that closes the set, from `state` on.

    Return the new count, the place behind the brace, of what is wrong or the text's end, and the state there. What
    follows an entry, such as a timeout or a comment in quotes, is passed over.
    """
    while at < text.size:
        byte = text[at]
        if byte == CLOSE:
            return count, at + 1, CLOSED
        if byte == COMMA:
            state = EXPECTS_ENTRY
            at += 1
        elif byte == HASH:
            at = line_end(text, at)
        elif byte in (SPACE, TAB, RETURN, NEWLINE):
            at += 1
        elif state == EXPECTS_ENTRY:
            first, last, end = element_at(text, at)
            if end == NONE:
                return count, at, WRONG
            low[count] = first
            high[count] = last
            count += 1
            state = IN_OPTIONS
            at = end
        else:
            end = quoted_end(text, at) if byte == QUOTE else at + 1
            if end == NONE:
                return count, at, WRONG
            at = end
    return count, text.size, state
