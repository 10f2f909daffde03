"""Owns the values of a config that carry a unit: text in one canonical form, with typed numbers beside it."""

import re
from decimal import Decimal
from typing import Self

AUTO = "auto"
"""The rate that is found while the scan runs."""
RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kKMGT]?)(pps|bps)?", re.ASCII)
RATE_FACTORS = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}
MAX_RATE_PPS = 1_000_000_000
MAX_RATE_BPS = 1_000_000_000_000
RATE_LIMITS = {"pps": (MAX_RATE_PPS, "packets"), "bps": (MAX_RATE_BPS, "bits")}

DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(us|ms|s|m|h)?", re.ASCII)
UNIT_US = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
MAX_DURATION_US = 366 * 24 * UNIT_US["h"]

PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})", re.ASCII)
MAX_PORT = 65_535


class Rate(str):
    """A rate such as ``100kpps``, ``10Mbps`` or ``auto``; a plain number is packets a second.

    In packets it is that of one probe; in bits that of all probes together, as they take room on the wire.
    """

    __slots__ = ()

    def __new__(cls, value: str | float) -> Self:
        """Return the rate in its canonical form; ValueError unless it is ``auto`` or a whole number from 1 on."""
        text = number_text(value)
        if text == AUTO:
            return super().__new__(cls, AUTO)
        match = RATE.fullmatch(text)
        if match is None:
            raise ValueError("expected a rate such as 100kpps, 1.5Mpps, 500pps or 10Mbps, or auto")
        number, unit = Decimal(match[1]) * RATE_FACTORS[match[2]], match[3] or "pps"
        most, name = RATE_LIMITS[unit]
        if number != int(number) or not 1 <= number <= most:
            raise ValueError(f"expected a whole number of {name} a second, from 1{unit} to {scaled(most)}{unit}")
        return super().__new__(cls, f"{scaled(int(number))}{unit}")

    @property
    def auto(self) -> bool:
        """Return whether the rate is to be found while the scan runs."""
        return self == AUTO

    @property
    def pps(self) -> int | None:
        """Return packets a second of one probe, None unless it is given so."""
        return self._number("pps")

    @property
    def bps(self) -> int | None:
        """Return bits a second of all probes on the wire, None unless it is given so."""
        return self._number("bps")

    def _number(self, unit: str) -> int | None:
        match = RATE.fullmatch(self)
        return int(Decimal(match[1]) * RATE_FACTORS[match[2]]) if match and match[3] == unit else None

    def pps_for(self, wire_bits: int) -> float:
        """Return packets a second of one probe, where one packet of each probe takes `wire_bits` together.

        ValueError for ``auto``, which is no number.
        """
        if self.bps is not None:
            return self.bps / wire_bits
        if self.pps is None:
            raise ValueError(f"the rate {self} is no number")
        return self.pps


def scaled(number: int) -> str:
    """Return a number with the largest suffix that shows it exactly with up to three decimals: 1500000 is 1.5M."""
    for suffix in ("T", "G", "M", "k"):
        factor = RATE_FACTORS[suffix]
        if number >= factor and number % (factor // 1_000) == 0:
            return f"{Decimal(number) / factor:f}{suffix}"
    return str(number)


class Duration(str):
    """A time span such as ``100ms``, ``10s``, ``2m``, ``24h`` or a plain number of seconds, exact to a microsecond."""

    __slots__ = ()

    def __new__(cls, value: str | float) -> Self:
        """Return the duration in its canonical form; ValueError unless it is whole microseconds, at most a year."""
        match = DURATION.fullmatch(number_text(value))
        if match is None:
            raise ValueError("expected a duration such as 100ms, 10s, 2m or 24h")
        span_us = Decimal(match[1]) * UNIT_US[match[2] or "s"]
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
    """Return what a unit's pattern is matched against: text as it is, numbers written out, ``""`` for anything else."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    return f"{Decimal(repr(value)):f}"  # repr is the shortest text that reads back: 0.1 stays 0.1
