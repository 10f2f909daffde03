"""Fields of cron (crontab(5)): their valid values, and their conversion to a systemd calendar expression."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from liveness.errors import UsageError

SCHEDULES: Final = {
    "hourly": "17 * * * *",
    "daily": "17 3 * * *",
    "weekly": "17 3 * * 1",
    "monthly": "17 3 1 * *",
}
"""Times that are not full hours, at which many other jobs start."""
EXAMPLES: Final = "'17 3 * * 1' (Mondays at 03:17) or '17 3 1 * *' (the first of each month)"
WEEKDAYS: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
MONTHS: Final = tuple(calendar.month_abbr)[1:]
LONGEST_MONTHS: Final = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
LONGEST: Final = 31
PART: Final = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """Field of a cron schedule: its name, its range of numbers, and names for some of the numbers."""

    name: str
    first: int
    last: int
    names: Sequence[str] = ()

    def number(self, text: str) -> int:
        """Return the number of a word. Raises ValueError that says what is wrong with it."""
        names = [name.lower() for name in self.names]
        if text.lower() in names:
            return names.index(text.lower()) + self.first
        if not text.isdecimal():
            raise ValueError(f"{text!r} is no {self.name}")
        if not self.first <= int(text) <= self.last:
            raise ValueError(f"{self.name} {text}: expected {self.first} to {self.last}")
        return int(text)

    def numbers(self, text: str) -> list[int]:
        """Return all numbers that a field selects, ascending. Raises ValueError that says what is wrong with it."""
        found: set[int] = set()
        for part in text.split(","):
            match = PART.fullmatch(part)
            if match is None:
                raise ValueError(
                    f"{part!r} is no {self.name}: expected a number, a-b, * or */n, or several with commas"
                )
            star, low, high, step = match.groups()
            if step is not None and (int(step) == 0 or (star is None and high is None)):
                raise ValueError(f"{part!r}: a step follows * or a range and is at least 1, as in */6")
            first = self.first if star else self.number(low)
            last = self.last if star else self.number(high) if high else first
            if first > last:
                raise ValueError(f"{part!r} ends before it begins")
            found.update(range(first, last + 1, int(step or 1)))
        return sorted(found)


FIELDS: Final = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day of the week", 0, 7, WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Times:
    """Times that five fields select: the numbers of each field, and whether the field begins with ``*``."""

    text: str
    numbers: tuple[list[int], ...]
    every: tuple[bool, ...]

    @classmethod
    def of(cls, text: str) -> "Times":
        """Parse five fields. Raises ValueError that says what is wrong with them."""
        fields = text.split()
        if len(fields) != len(FIELDS):
            raise ValueError(f"{len(fields)} fields: cron has five, minute, hour, day, month and day of the week")
        numbers = tuple(field.numbers(word) for field, word in zip(FIELDS, fields, strict=True))
        times = cls(" ".join(fields), numbers, tuple(word.startswith("*") and "," not in word for word in fields))
        _, _, days, months, _ = numbers
        if times.every[4] and all(min(days) > LONGEST_MONTHS.get(month, LONGEST) for month in months):
            raise ValueError("no such month has a day of that number: it would never begin")
        return times

    def calendar(self) -> str:
        """Return the same times as an OnCalendar= expression. Raises ValueError if systemd cannot express them."""
        minutes, hours, days, months, weekdays = self.numbers
        if not (self.every[2] or self.every[4]):
            raise ValueError("cron takes either day, systemd only days that are both: name one of them")
        week = "" if self.every[4] else ",".join(dict.fromkeys(WEEKDAYS[day % 7] for day in weekdays)) + " "
        listed = [
            "*" if len(found) == field.last - field.first + 1 else ",".join(f"{number:02}" for number in found)
            for field, found in zip(FIELDS, (minutes, hours, days, months), strict=False)
        ]
        minute, hour, day, month = listed
        return f"{week}*-{month}-{day} {hour}:{minute}:00"


def schedule_of(text: str) -> str:
    """Return five fields of cron, from a word such as ``weekly`` or from the fields themselves. Raises UsageError."""
    word = text.strip().removeprefix("@")
    try:
        return Times.of(SCHEDULES.get(word, text)).text
    except ValueError as problem:
        hint = "; times of systemd go with --timer weekly" if ":" in text else ""
        words = ", ".join(SCHEDULES)
        raise UsageError(
            f"--schedule {text!r}: expected {words}, or five fields of cron such as {EXAMPLES}: {problem}{hint}"
        ) from None
