"""Owns the values of a config that carry a unit: text in one canonical form, with typed numbers next to it."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Self

AUTO = "auto"
"""The rate that is found while the scan runs."""
RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGT]?)(pps|bps)?", re.ASCII)
SLOW_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?/ ?(s|sec|second|min|minute|m|h|hour)", re.ASCII)
SLOW_UNITS = {"s": ("s", 1), "m": ("min", 60), "h": ("h", 3_600)}
"""First letter of the unit of a slow rate -> its canonical name, and how many seconds it has."""
MIN_RATE_PPS = Fraction(1, 3_600)
"""One packet of each probe an hour: below that a typing mistake is likelier than a wish."""
EXACT_PPS = 1_000_000
"""A rate in packets a second is exact to a millionth of a packet."""
RATE_FACTORS = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}
MAX_RATE_PPS = 1_000_000_000
MAX_RATE_BPS = 1_000_000_000_000

DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(us|ms|s|m|h|d)?", re.ASCII)
COMPOUND = re.compile(r"(?=[0-9])(?:([0-9]+) ?d)? ?(?:([0-9]+) ?h)? ?(?:([0-9]+) ?m)? ?(?:([0-9]+) ?s)?", re.ASCII)
"""Several units, largest first, such as ``3h30m``."""
UNIT_US = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
DAY_US = 24 * UNIT_US["h"]
"""Days are read, but never written: 24h is the canonical form."""
MAX_DURATION_US = 366 * DAY_US

WHOLE = re.compile(r"[0-9]{1,10}", re.ASCII)
SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%", re.ASCII)

PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)
MAX_PORT = 65_535


class Rate(str):
    """A rate such as ``100kpps``, ``0.2pps``, ``12/min``, ``10Mbps`` or ``auto``; a number is packets a second.

    In packets it is that of one probe; in bits that of all probes together, as they take room on the wire.
    """

    __slots__ = ()

    def __new__(cls, value: str | float) -> Self:
        """Return the rate in its canonical form; ValueError unless it is ``auto`` or a rate within the limits."""
        text = number_text(value)
        if text == AUTO:
            return super().__new__(cls, AUTO)
        if slow := SLOW_RATE.fullmatch(text):
            unit, seconds = SLOW_UNITS[slow[2][0]]
            check_pps(Fraction(slow[1]) / seconds)
            return super().__new__(cls, f"{plain(Decimal(slow[1]))}/{unit}")
        match = RATE.fullmatch(text)
        if match is None:
            raise ValueError("expected a rate such as 100kpps, 1.5Mpps, 0.2pps, 12/min or 10Mbps, or auto")
        number = Decimal(match[1]) * RATE_FACTORS[match[2]]
        if match[3] == "bps":
            if number != int(number) or not 1 <= number <= MAX_RATE_BPS:
                raise ValueError(f"expected a whole number of bits a second, from 1bps to {scaled(MAX_RATE_BPS)}bps")
            return super().__new__(cls, f"{scaled(int(number))}bps")
        check_pps(Fraction(number))
        if number * EXACT_PPS != int(number * EXACT_PPS):
            raise ValueError("expected a rate of six decimals at most, or one such as 7/min or 100/h")
        text = scaled(int(number)) if number == int(number) else plain(number)
        return super().__new__(cls, f"{text}pps")

    @property
    def auto(self) -> bool:
        """Return whether the rate is searched while the scan runs."""
        return self == AUTO

    @property
    def pps(self) -> float | None:
        """Return packets a second of one probe, None unless it is given so."""
        if slow := SLOW_RATE.fullmatch(self):
            return float(Fraction(slow[1]) / SLOW_UNITS[slow[2][0]][1])
        match = RATE.fullmatch(self)
        return float(Decimal(match[1]) * RATE_FACTORS[match[2]]) if match and match[3] == "pps" else None

    @property
    def bps(self) -> int | None:
        """Return bits a second of all probes on the wire, None unless it is given so."""
        match = RATE.fullmatch(self)
        return int(Decimal(match[1]) * RATE_FACTORS[match[2]]) if match and match[3] == "bps" else None

    def pps_for(self, wire_bits: int) -> float:
        """Return packets a second of one probe, where one packet of each probe takes `wire_bits` together.

        ValueError for ``auto``, which is no number.
        """
        if self.bps is not None:
            return self.bps / wire_bits
        if self.pps is None:
            raise ValueError(f"the rate {self} is no number")
        return self.pps


def check_pps(number: Fraction) -> None:
    """Raise ValueError for a rate, packets a second, that is too low or too high."""
    if not MIN_RATE_PPS <= number <= MAX_RATE_PPS:
        raise ValueError(f"expected a rate from 1/h, a packet an hour, to {scaled(MAX_RATE_PPS)}pps")


def plain(number: Decimal) -> str:
    """Return a number without zeros at its end and without an exponent."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def scaled(number: int) -> str:
    """Return a number with the largest suffix that shows it exactly with up to three decimals: 1500000 is 1.5M."""
    for suffix in ("T", "G", "M", "k"):
        factor = RATE_FACTORS[suffix]
        if number >= factor and number % (factor // 1_000) == 0:
            return f"{Decimal(number) / factor:f}{suffix}"
    return str(number)


class Duration(str):
    """A time span such as ``100ms``, ``10s``, ``24h``, ``14d`` or a plain number of seconds, exact to a microsecond."""

    __slots__ = ()

    def __new__(cls, value: str | float) -> Self:
        """Return the duration in its canonical form; ValueError unless it is whole microseconds, at most a year."""
        text = number_text(value)
        match = DURATION.fullmatch(text)
        if match is not None:
            span_us = Decimal(match[1]) * (DAY_US if match[2] == "d" else UNIT_US[match[2] or "s"])
        elif (parts := COMPOUND.fullmatch(text)) is not None:
            lengths_us = (DAY_US, UNIT_US["h"], UNIT_US["m"], UNIT_US["s"])
            span_us = sum(
                (Decimal(part or 0) * us for part, us in zip(parts.groups(), lengths_us, strict=True)), Decimal()
            )
        else:
            raise ValueError("expected a duration such as 100ms, 10s, 2m, 3h30m, 24h or 14d")
        if span_us != int(span_us) or span_us > MAX_DURATION_US:
            raise ValueError("expected a duration of whole microseconds, at most a year")
        return super().__new__(cls, cls.canonical(int(span_us)))

    @staticmethod
    def canonical(span_us: int) -> str:
        """Return the text of a duration: a whole number of the largest unit that allows it."""
        for unit, length_us in UNIT_US.items():
            if span_us and span_us % length_us == 0:
                return f"{span_us // length_us}{unit}"
        return "0s"

    @property
    def us(self) -> int:
        """Return microseconds."""
        match = DURATION.fullmatch(self)
        return int(match[1]) * UNIT_US[match[2] or "s"] if match else 0

    @property
    def seconds(self) -> float:
        """Return seconds."""
        return self.us / UNIT_US["s"]


class TargetLimit(str):
    """How many targets to probe at most: a number, or a share of all of them such as ``1%``."""

    __slots__ = ()

    def __new__(cls, value: object) -> Self:
        """Return the limit in its canonical form; ValueError unless it is a whole number from 1 on or a share."""
        text = number_text(value)
        if whole := WHOLE.fullmatch(text):
            if int(whole[0]):
                return super().__new__(cls, str(int(whole[0])))
        elif (share := SHARE.fullmatch(text)) and 0 < Decimal(share[1]) <= 100:  # noqa: PLR2004 - per cent
            return super().__new__(cls, f"{plain(Decimal(share[1]))}%")
        raise ValueError("expected a whole number of targets from 1 on, or a share of them such as 1% or 0.5%")

    @property
    def number(self) -> int | str:
        """Return the value in a document: a number, or the text of a share."""
        return str(self) if self.endswith("%") else int(self)

    def of(self, targets: int) -> int:
        """Return how many of so many targets to probe: the number, or the share of them rounded down, 1 at least."""
        if self.endswith("%"):
            return max(1, int(Fraction(self[:-1]) * targets / 100))
        return int(self)


def _utc_of(text: str) -> datetime | None:
    """Return a time in UTC, None if a text is no time or has no offset."""
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class StartTime(str):
    """A time such as ``2026-12-01T00:00:00Z``: a date, a time of day and the offset from UTC (RFC 3339)."""

    __slots__ = ()

    def __new__(cls, value: object) -> Self:
        """Return the time in its canonical form, UTC to the millisecond; ValueError without an offset from UTC."""
        time = _utc_of(value) if isinstance(value, str) else None
        if time is None:
            raise ValueError("expected a date and time with an offset from UTC, such as 2026-12-01T00:00:00Z")
        return super().__new__(cls, time.isoformat(timespec="milliseconds").replace("+00:00", "Z"))

    @property
    def seconds(self) -> float:
        """Return seconds since 1970."""
        return datetime.fromisoformat(self).timestamp()


class PortRange(str):
    """An inclusive range of ports such as ``32768-61000``."""

    __slots__ = ()

    def __new__(cls, value: object) -> Self:
        """Return the range in its canonical form; ValueError unless it is ``low-high`` within 1 to 65535."""
        match = PORTS.fullmatch(value) if isinstance(value, str) else None
        if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MAX_PORT:
            raise ValueError(f"expected a range of ports low-high within 1-{MAX_PORT}")
        return super().__new__(cls, f"{int(match[1])}-{int(match[2])}")

    @property
    def first(self) -> int:
        """Return the lowest port."""
        return int(self.partition("-")[0])

    @property
    def last(self) -> int:
        """Return the highest port."""
        return int(self.partition("-")[2])

    @property
    def width(self) -> int:
        """Return the number of ports."""
        return self.last - self.first + 1


def number_text(value: object) -> str:
    """Return the text to match a unit's pattern against: text as it is, numbers written out, else ``""``."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    return f"{Decimal(repr(value)):f}"  # repr is the shortest text that reads back: 0.1 stays 0.1
