"""The exception tree: every error a user can meet, with the exit code it ends in.

LivenessError           1    failure: something outside went wrong (disk, network, a process died)
├── InterfaceDownError  1    an interface is down: sockets and rings on it work again when it is up
├── InterfaceGoneError  1    an interface was removed: what was open on it is of no use any more
├── UsageError          2    the command line, config, a target or blocklist file is wrong
├── UnsupportedError    3    a privilege or kernel feature is missing
├── RefusedError        4    a safety rule forbids it, or another process holds the lock
└── StoppedEarlyError   5    ended before its end; partial results are kept

A message is one line that names the file, the path inside it, the value, and the remedy. 130 (SIGINT) and 143 (SIGTERM)
are exit codes of an interrupted scan, not errors.
"""

import re
import traceback
from pathlib import Path
from typing import ClassVar, Final

_EXPECTED: Final = re.compile(
    r"Expected `([^`]+)`(?: (>=|<=|>|<) ([-\d.]+))?(?: of length (>=|<=|>|<) (\d+))?(?:, got `([^`]+)`)?"
)
_KINDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "null": "nothing",
    "object": "a mapping of names to values",
    "array": "a list",
    "bytes": "bytes",
}
_BOUNDS: Final = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}


def one_line(text: str) -> str:
    """Return a text as it may be printed anywhere: control characters and marks of direction are shown as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


class LivenessError(Exception):
    """Something went wrong that a person can act on; its text is the one line they read."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """Return the line: what a file or a name brought into it moves no cursor."""
        return one_line(super().__str__())


class InterfaceDownError(LivenessError):
    """An interface is down. What is open on it stays usable: a pause, not the end."""


class InterfaceGoneError(LivenessError):
    """An interface was removed, or moved to another network namespace: what is open on it is of no use any more."""


class ConfigWarning(UserWarning):
    """Something about a config that is probably a mistake and stops nothing; the command line prints it."""


class UsageError(LivenessError):
    """Wrong input: command line, config, target list, blocklist."""

    exit_code: ClassVar[int] = 2


class UnsupportedError(LivenessError):
    """This machine lacks a privilege or a kernel feature."""

    exit_code: ClassVar[int] = 3


class RefusedError(LivenessError):
    """A safety rule forbids what was asked, or another process works on the same run, census or list."""

    exit_code: ClassVar[int] = 4


class StoppedEarlyError(LivenessError):
    """The work ended before its end; what was gathered is kept."""

    exit_code: ClassVar[int] = 5


def count_of(number: int, noun: str) -> str:
    """Return a number with its noun as a message says it: 1 address, 2,000 addresses, 1 entry, 3 entries."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}{'es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


def explain(error: BaseException) -> str:
    """Return in one line what went wrong: a LivenessError's own text; of any other error its kind and place too."""
    if isinstance(error, LivenessError):
        return str(error)
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"


def in_our_words(text: str) -> str:
    """Return what msgspec says of a wrong value in words that need no Python: ``expected a whole number, not text``."""
    match = _EXPECTED.match(text)
    if match is None:
        return text.replace("`", "")
    kinds, relation, bound, of_length, length, found = match.groups()
    wanted = ", or ".join(_KINDS.get(kind, kind) for kind in kinds.split(" | "))
    if relation:
        wanted += f", {_BOUNDS[relation]} {bound}"
    if of_length:
        wanted += f", {_BOUNDS[of_length]} {length} long"
    got = f", not {', or '.join(_KINDS.get(kind, kind) for kind in found.split(' | '))}" if found else ""
    return f"expected {wanted}{got}"
