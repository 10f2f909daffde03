"""Blocklists as people keep them: dated, commented files that are added to, taken from and asked, line by line."""

import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from liveness.errors import LivenessError, UsageError
from liveness.ipsets.atomic import replaced
from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals
from liveness.space.prefixes import open_bytes

LOCK_WAIT_S: Final = 10.0
LOCK_POLL_S: Final = 0.05
NEW_FILE: Final = (
    "# Addresses that are never probed: one prefix a line, '#' starts a comment: date, who asked, why.\n"
    "# Kept by `liveness blocklist`; ZMap's blocklists have the same form.\n"
)
_DATED: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:,\s*([^,]*?)(?:,\s*(.*))?)?")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is on a blocklist, or no more: the day, who asked for it, and what for."""

    who: str
    why: str
    date: str

    @classmethod
    def of(cls, who: str, why: str, date: str | None = None) -> "Reason":
        """Return a reason of today (UTC) or of another day. UsageError for what a comment cannot hold."""
        for name, text in (("--who", who), ("--why", why)):
            if not text.strip() or not text.isprintable() or (name == "--who" and "," in text):
                commas = " without commas" if name == "--who" else ""
                raise UsageError(f"{name}: {text!r}: expected some printable text on one line{commas}")
        if date is None:
            return cls(who.strip(), why.strip(), f"{datetime.now(UTC):%Y-%m-%d}")
        try:
            return cls(
                who.strip(), why.strip(), datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
            )
        except ValueError:
            raise UsageError(f"--date: {date!r}: expected a day such as 2026-11-22") from None

    def __str__(self) -> str:
        return f"{self.date}, {self.who}, {self.why}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list that blocks something: where it stands, its bounds (inclusive, host order), its comment."""

    file: str
    line: int
    text: str
    first: int
    last: int
    comment: str

    @property
    def place(self) -> str:
        """The file and the line, as messages name them."""
        return f"{self.file}:{self.line}"

    @property
    def addresses(self) -> int:
        """How many addresses it blocks."""
        return self.last - self.first + 1

    @property
    def reason(self) -> Reason | None:
        """Date, who and why, where the comment begins with a date."""
        match = _DATED.fullmatch(self.comment)
        return Reason(match[2] or "", match[3] or "", match[1]) if match else None


def read_list(path: str | Path) -> list[Entry]:
    """Return the entries of a list file in order, of standard input for ``-``.

    UsageError names the file, the line and the value: unreadable, or an entry that is no IPv4 prefix, range or address.
    """
    name = "standard input" if str(path) == "-" else str(path)
    try:
        with open_bytes(path) as stream:
            content = stream.read()
    except OSError as error:
        raise UsageError(f"{name}: cannot read the blocklist: {(error.strerror or str(error)).lower()}") from error
    return list(_entries(_lines(content), name))


def intervals_of(entries: Sequence[Entry]) -> Intervals:
    """Return all addresses that some entries block."""
    return Intervals.from_bounds([entry.first for entry in entries], [entry.last for entry in entries])


def covering(entries: Sequence[Entry], first: int, last: int) -> list[Entry]:
    """Return the entries that block any address from `first` to `last`, in the order of their lines."""
    return [entry for entry in entries if entry.first <= last and entry.last >= first]


def add(path: Path, wanted: Sequence[Entry], reason: Reason) -> list[Entry]:
    """Append what a list does not block yet, as prefixes, a line each; return those of `wanted` that are new.

    An entry that has a comment keeps it, others get the reason. What stood in the file stays as it is; a file that is
    not there begins. All or nothing: the file is replaced by rename. Raises UsageError for a list that cannot be read.
    """
    with _locked(path) as file:
        content = file.read_bytes() if file.exists() else NEW_FILE.encode()
        blocked = intervals_of(list(_entries(_lines(content), str(path))))
        new = _not_within(wanted, blocked)
        lines = []
        for entry in new:
            prefixes = Intervals.from_bounds([entry.first], [entry.last]).prefixes()
            lines += [f"{prefix:<19} # {entry.comment or reason}\n" for prefix in prefixes]
        if lines:
            newline = b"" if content.endswith(b"\n") or not content else b"\n"
            _replace(file, content + newline + "".join(lines).encode("utf-8", "surrogateescape"))
    return new


def remove(path: Path, first: int, last: int, reason: Reason) -> list[Entry]:
    """Comment out every line of a list that blocks nothing but addresses from `first` to `last`; return these lines.

    The line stays, behind the reason. UsageError names a line that blocks more than that as well.
    """
    with _locked(path) as file:
        content = file.read_bytes()
        lines = _lines(content)
        found = covering(list(_entries(lines, str(path))), first, last)
        for entry in found:
            if entry.first < first or entry.last > last:
                raise UsageError(
                    f"{entry.place}: {entry.text}: blocks more than what is to be removed: remove the whole line, then"
                    " add what shall stay blocked"
                )
        for entry in found:
            lines[entry.line - 1] = f"# removed {reason}: ".encode() + lines[entry.line - 1]
        if found:
            _replace(file, b"\n".join(lines))
    return found


def _lines(content: bytes) -> list[bytes]:
    return content.removeprefix(b"\xef\xbb\xbf").split(b"\n")


def _entries(lines: Sequence[bytes], name: str) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        text, _, comment = line.decode("utf-8", "surrogateescape").partition("#")
        text = text.strip()
        if not text:
            continue
        try:
            first, last = parse_entry(text)
        except ValueError as error:
            raise UsageError(f"{name}:{number}: {error}") from None
        yield Entry(name, number, text, first, last, comment.strip())


def _not_within(wanted: Sequence[Entry], blocked: Intervals) -> list[Entry]:
    """Return those entries of which any address is not blocked, each once, those within earlier ones left out."""
    first = np.array([entry.first for entry in wanted], np.uint64)
    after = np.array([entry.last for entry in wanted], np.uint64) + np.uint64(1)
    known = blocked.rank(after) - blocked.rank(first) if wanted else np.zeros(0, np.uint64)
    missing = [entry for entry, count in zip(wanted, known.tolist(), strict=True) if count < entry.addresses]
    # the widest first: a range within another one of the same call needs no line
    order = sorted(range(len(missing)), key=lambda at: (missing[at].first, -missing[at].last))
    kept, reach = set(), -1
    for at in order:
        if missing[at].last > reach:
            kept.add(at)
            reach = missing[at].last
    return [entry for at, entry in enumerate(missing) if at in kept]


@contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """Hold the folder of a list while it is edited; give the file itself where the path is a link to it."""
    file = path.resolve()
    try:
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{path}: cannot edit this blocklist: {error.strerror}") from error
    try:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LivenessError(f"{path}: somebody else edits lists in this folder: try again") from None
                time.sleep(LOCK_POLL_S)
        yield file
    except OSError as error:
        raise UsageError(f"{path}: cannot edit this blocklist: {error.strerror}") from error
    finally:
        os.close(folder)


def _replace(file: Path, content: bytes) -> None:
    """Replace a list by rename, with the permissions and the owner that it had."""
    before = file.stat() if file.exists() else None
    with replaced(file) as stream:
        if before is not None:
            os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
            if os.geteuid() == 0:
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
        stream.write(content)
