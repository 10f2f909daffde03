"""Opt-out requests as lines of a blocklist: who asked, when, why, for what, and when the request was withdrawn."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from liveness.errors import UsageError
from liveness.space.addresses import IPv6Error, parse_entry, without_comment
from liveness.space.prefixes import Skipped

UNKNOWN: Final = "unknown"
"""Who asked where a line does not say."""
_DATED: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:,\s*([^,]*?)(?:,\s*(.*))?)?")
_WITHDRAWN: Final = re.compile(
    r"#\s*(?:withdrawn|removed) (\d{4}-\d{2}-\d{2}), ([^,]*), (.*?): ([0-9./]+(?:\s*-\s*[0-9.]+)?)\s*(?:[#;](.*))?"
)
"""A line that `withdrawn_line` made; versions before requests were records wrote "removed"."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is on a blocklist, or no longer: the day, who asked for it, and what for."""

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
    """One request, a line of a list: its place, its bounds (inclusive, host order), its comment."""

    file: str
    line: int
    text: str
    first: int
    last: int
    comment: str
    withdrawn: Reason | None = None
    """When and why it ceased to count; None while it blocks."""

    @property
    def place(self) -> str:
        """The file and the line, as messages name them."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def addresses(self) -> int:
        """How many addresses it blocks, or blocked."""
        return self.last - self.first + 1

    @property
    def reason(self) -> Reason | None:
        """Date, who and why, where the comment begins with a date."""
        match = _DATED.fullmatch(self.comment)
        return Reason(match[2] or "", match[3] or "", match[1]) if match else None

    @property
    def who(self) -> str:
        """Who asked: as dated comments say, else the whole comment, else "unknown"."""
        reason = self.reason
        return (self.comment if reason is None else reason.who) or UNKNOWN

    @property
    def key(self) -> tuple[int, int, str]:
        """What makes a request the same as another: what it is for and who asked."""
        return self.first, self.last, self.who

    def document(self) -> dict[str, object]:
        """Return the request for a JSON document."""
        reason, withdrawn = self.reason, self.withdrawn
        return {
            "file": self.file,
            "line": self.line,
            "entry": self.text,
            "addresses": self.addresses,
            "date": None if reason is None else reason.date,
            "who": None if reason is None else reason.who,
            "why": None if reason is None else reason.why,
            "comment": self.comment,
            "withdrawn": None
            if withdrawn is None
            else {"date": withdrawn.date, "who": withdrawn.who, "why": withdrawn.why},
        }


def named_entries(prefixes: Sequence[str]) -> list[Entry]:
    """Return prefixes of a command line as entries without a place. UsageError for what is none."""
    found = []
    for text in prefixes:
        try:
            first, last = parse_entry(text)
        except ValueError as error:
            raise UsageError(str(error)) from None
        found.append(Entry("command line", 0, text.strip(), first, last, ""))
    return found


def lines_of(content: bytes) -> list[bytes]:
    """Return the lines of a list's content, without the mark that some editors begin a file with."""
    return content.removeprefix(b"\xef\xbb\xbf").split(b"\n")


def requests_in(lines: Sequence[bytes], name: str, skipped: Skipped | None = None) -> Iterator[Entry]:
    """Yield every request of a list in order, withdrawn ones too.

    UsageError names the file, the line and the value of an entry that is no IPv4 prefix, range or address. Lines of
    IPv6 are counted in `skipped` instead, if that is given.
    """
    for number, line in enumerate(lines, 1):
        content = line.decode("utf-8", "surrogateescape")
        text = without_comment(content)
        comment = content.lstrip().removeprefix(text).lstrip()[1:]
        if not text:
            withdrawn = _WITHDRAWN.fullmatch("#" + comment.strip()) if comment else None
            if withdrawn is not None:
                date, who, why, entry, before = withdrawn.groups()
                try:
                    first, last = parse_entry(entry)
                except ValueError:
                    continue  # a comment that only looks like one of ours
                yield Entry(name, number, entry, first, last, (before or "").strip(), Reason(who, why, date))
            continue
        try:
            first, last = parse_entry(text)
        except IPv6Error as error:
            if skipped is None:
                raise UsageError(f"{name}:{number}: {error}: --skip-ipv6 leaves such lines out") from None
            skipped.lines += 1
            continue
        except ValueError as error:
            raise UsageError(f"{name}:{number}: {error}") from None
        yield Entry(name, number, text, first, last, comment.strip())


def withdrawn_line(line: bytes, reason: Reason) -> bytes:
    """Return a request's line as a comment that says when, by whose wish and why the request ceased to count."""
    return f"# withdrawn {reason}: ".encode("utf-8", "surrogateescape") + line
