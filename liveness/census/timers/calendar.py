"""Calendar expressions (systemd.time(7)), checked by systemd if it is installed and by a grammar of their syntax."""

import os
import re
import shutil
import subprocess
from typing import Final

from liveness.census.timers.fields import Times
from liveness.errors import UsageError

SCHEDULES: Final = ("hourly", "daily", "weekly", "monthly")
MORE_WORDS: Final = ("minutely", "yearly", "annually", "quarterly", "semiannually", "biannually", "semi-annually")
EXAMPLES: Final = "'Mon 03:17', '*-*-01 03:17' or 'Mon,Thu *-*-* 03:17:00 UTC'"
TIMEOUT_S: Final = 10.0
MAX_CHARS: Final = 100

_WEEKDAYS: Final = "(?:mon|tue|wed|thu|fri|sat|sun|monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_SHAPE: Final = re.compile(
    rf"(?:(?P<week>{_WEEKDAYS}(?:(?:\.\.|-|,){_WEEKDAYS})*),?(?:\s+|$))?"
    r"(?:(?P<date>(?:(?P<year>[0-9*,./]+)-)?(?P<month>[0-9*,./]+)[-~](?P<day>[0-9*,./]+))(?:\s+|$|T(?=[0-9])))?"
    r"(?:(?P<hour>[0-9*,./]+):(?P<minute>[0-9*,./]+)(?::(?P<second>[0-9*,./]+))?)?"
    r"(?:\s+(?P<zone>[A-Za-z][A-Za-z_]*(?:/[A-Za-z0-9_+-]+)*))?",
    re.ASCII | re.IGNORECASE,
)
_LIMITS: Final = {"year": (1970, 2199), "month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59)}
_SECONDS: Final = (0, 59)
_COMPONENT: Final = re.compile(r"(?:\*|(\d+)(?:\.\d+)?(?:\.\.(\d+)(?:\.\d+)?)?)(?:/(\d+)(?:\.\d+)?)?", re.ASCII)


def calendar_of(text: str) -> str:
    """Return an OnCalendar= expression; five fields of cron are converted. Raises UsageError if it is invalid."""
    text = " ".join(text.split()) if text.isprintable() else text
    if text.removeprefix("@") in SCHEDULES:
        return text.removeprefix("@")
    if len(text.split()) == len("mhdmw") and ":" not in text and re.fullmatch(r"[0-9A-Za-z*,/ -]+", text):
        try:
            return Times.of(text).calendar()
        except ValueError as problem:
            raise UsageError(f"--schedule {text!r}: five fields of cron: {problem}") from None
    fault = "" if text and text.isprintable() and len(text) <= MAX_CHARS else "no time"
    fault = fault or _fault_by_systemd(text) or _faults(text)
    if fault:
        words = ", ".join(SCHEDULES)
        raise UsageError(f"--schedule {text!r}: expected {words}, or a time such as {EXAMPLES}: {fault}")
    return text


def _fault_by_systemd(text: str) -> str:
    """Return what systemd on this machine reports about an expression; empty if it is valid or systemd is missing."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "calendar", "--", text],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    if done.returncode != 0:
        return "systemd knows no such time"
    return "it would never begin" if re.search(r"^\s*Next elapse: never$", done.stdout, re.MULTILINE) else ""


def _faults(text: str) -> str:
    """Return what is wrong with an expression according to the grammar; empty if it is valid."""
    if text.lower() in (*SCHEDULES, *MORE_WORDS):
        return ""
    match = _SHAPE.fullmatch(text)
    if match is None or not (match["week"] or match["date"] or match["hour"]):
        return "no time"
    for name, limits in {**_LIMITS, "second": _SECONDS}.items():
        fault = _component_fault(match[name], name, *limits)
        if fault:
            return fault
    return ""


def _component_fault(text: str | None, name: str, first: int, last: int) -> str:
    """Return what is wrong with one component, such as the minutes; empty if it is valid."""
    for part in [] if text is None else text.split(","):
        found = _COMPONENT.fullmatch(part)
        if found is None:
            return f"{part!r} is no {name}"
        low, high, step = (None if number is None else int(number) for number in found.groups())
        for number in (low, high):
            if number is not None and not first <= number <= last:
                return f"{name} {number}: expected {first} to {last}"
        if low is not None and high is not None and low > high:
            return f"{part!r} ends before it begins"
        if step == 0:
            return f"{part!r}: a step is at least 1"
    return ""
