"""Formatting of numbers in tables and figures."""

from typing import Final

WHOLE: Final = 100.0
"""The whole in percent."""

THOUSAND: Final = 1_000

ABSENT: Final = "-"
"""Printed for a number that does not exist: a share whose denominator is 0, or a value that was not measured."""


def count(number: int | None) -> str:
    """Return an integer with thousands separators."""
    return ABSENT if number is None else f"{number:,}"


def percent(share: float | None, decimals: int = 1) -> str:
    """Return a fraction as percent. One that is not 0 is never printed as 0, one that is not 1 never as 100."""
    if share is None:
        return ABSENT
    text = f"{share:.{decimals}%}"
    printed, last_digit = float(text.removesuffix("%")), 10.0**-decimals
    if share > 0 and printed == 0:
        return f"<{last_digit:.{decimals}f}%"
    if share < 1 and printed == WHOLE:
        return f">{WHOLE - last_digit:.{decimals}f}%"
    return text.removeprefix("-") if printed == 0 else text


def signed(number: float, decimals: int = 1) -> str:
    """Return a number with its sign; one that is rounded to 0 has no sign."""
    text = f"{number:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text


def seconds(duration_s: float | None) -> str:
    """Return a duration in ms, s or min, depending on its length."""
    if duration_s is None:
        return ABSENT
    if duration_s < 1:
        return f"{1000 * duration_s:.1f} ms"
    return f"{duration_s:.1f} s" if duration_s < 120 else f"{duration_s / 60:.1f} min"  # noqa: PLR2004 - two minutes


def in_words(field: str) -> str:
    """Return the name of a result's field for tables."""
    words = "RST_only" if field == "rst_only" else field.replace("syn_ack", "SYN-ACK")
    return words.replace("_", " ")


def named_formulas(formulas: dict[str, str]) -> list[str]:
    """Return formulas as notes, each with the name of its number in the tables."""
    return [f"{in_words(name)}: {text}" for name, text in formulas.items()]


def rate(per_second: float) -> str:
    """Return a rate in packets a second with one decimal place, with three digits below one."""
    return f"{per_second:,.1f}".removesuffix(".0") if per_second >= 1 else f"{per_second:.3g}"


def bandwidth(bits_per_second: float) -> str:
    """Return bits a second with three digits and a decimal prefix: 9.87 Mbit/s."""
    return _prefixed(bits_per_second, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"))


def size(size_bytes: float) -> str:
    """Return bytes with three digits and a decimal prefix: 9.87 MB."""
    return _prefixed(size_bytes, ("B", "kB", "MB", "GB", "TB"))


def _prefixed(number: float, units: tuple[str, ...]) -> str:
    value, unit = number, units[0]
    for larger in units[1:]:
        if round(value) < THOUSAND:
            break
        value, unit = value / THOUSAND, larger
    return f"{value:.0f} {unit}" if unit == units[0] else f"{value:.3g} {unit}"


def span(duration_s: float) -> str:
    """Return a duration in its two largest units: 1 d 2 h, 3 h 4 min, 5 min 6 s, 7 s."""
    whole = round(duration_s)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
