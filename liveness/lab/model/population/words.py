"""Answers as words of a population file, nine words in the order of the probes, and their packed numbers."""

import re
from typing import Final

from liveness.lab.model.population.answer import (
    ANSWERED,
    BOTH,
    BYTE_MASK,
    CODE_SHIFT,
    ERROR,
    ICMP,
    IN_WORDS,
    PAYLOAD,
    PROBES,
    RESET,
    SILENT,
    TYPE_SHIFT,
    WHAT_MASK,
)
from liveness.replies import ERROR_TYPES, Kind

NOTHING: Final = "."
CODE = re.compile(r"([0-9]{1,2})/([0-9]{1,3})")

TCP_WORDS: Final = {NOTHING: SILENT, "syn-ack": ANSWERED, "rst": RESET, "both": BOTH}
UDP_WORDS: Final = {NOTHING: SILENT, "answer": ANSWERED, "payload": PAYLOAD}
ICMP_WORDS: Final = {NOTHING: SILENT, "echo": ANSWERED}


def is_tcp(probe: int) -> bool:
    """Return whether a probe number is that of a TCP probe."""
    return PROBES[probe].startswith("tcp/")


def words_for(probe: int) -> dict[str, int]:
    """Return the words that may answer a probe, errors excluded, and their numbers."""
    if probe == ICMP:
        return ICMP_WORDS
    return TCP_WORDS if is_tcp(probe) else UDP_WORDS


def packed(text: str) -> tuple[int, ...]:
    """Return nine packed answers from nine words in the order of IN_WORDS; ValueError says what is wrong."""
    words = text.split()
    if len(words) != len(IN_WORDS):
        raise ValueError(f"{len(words)} words, expected {len(IN_WORDS)}: {' '.join(IN_WORDS)}")
    return tuple(_one(probe, word) for probe, word in enumerate(words))


def _one(probe: int, word: str) -> int:
    known = words_for(probe)
    if word in known:
        return known[word]
    match = CODE.fullmatch(word)
    if match and int(match[1]) in ERROR_TYPES and int(match[2]) <= BYTE_MASK:
        return ERROR | int(match[1]) << TYPE_SHIFT | int(match[2]) << CODE_SHIFT
    expected = ", ".join(known)
    raise ValueError(f"{word!r} for {IN_WORDS[probe]}: expected {expected}, or an ICMP error as 3/13")


def kinds_of(probe: int, answer: int) -> tuple[Kind, ...]:
    """Return the kinds of reply that a packed answer to a probe consists of."""
    what = answer & WHAT_MASK
    if what == ANSWERED:
        return (Kind.ECHO_REPLY if probe == ICMP else Kind.SYN_ACK if is_tcp(probe) else Kind.ANSWER,)
    return {SILENT: (), RESET: (Kind.RST,), PAYLOAD: (Kind.PAYLOAD,), ERROR: (Kind.ERROR,)}.get(
        what, (Kind.SYN_ACK, Kind.RST)
    )


def error_of(answer: int) -> tuple[int, int]:
    """Return ICMP type and code of a packed error."""
    return answer >> TYPE_SHIFT & BYTE_MASK, answer >> CODE_SHIFT & BYTE_MASK


def family_of(probe: int) -> int:
    """Return 0 for ICMP, 1 for TCP, 2 for UDP."""
    return 0 if probe == ICMP else 1 if is_tcp(probe) else 2
