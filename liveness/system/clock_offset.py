"""The offset of this machine's clock from true time, as chrony or the kernel knows it.

chronyc(1), adjtimex(2). Machines that have agreed on a time are only as close as their clocks.
"""

import ctypes
import math
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from liveness.system.child import libc

CHRONY: Final = "chrony"
KERNEL: Final = "kernel"
TRACKING: Final = ("chronyc", "-c", "-n", "tracking")
"""One line of comma-separated values; every field is a number but the reference's name and the leap status."""
_FIELDS: Final = 14
_STRATUM, _SLOW_S, _ROOT_DELAY_S, _ROOT_DISPERSION_S, _LEAP = 2, 4, 10, 11, 13
_NO_REFERENCE: Final = "Not synchronised"
WAIT_S: Final = 3.0
_UNSYNCHRONISED: Final = 0x0040  # STA_UNSYNC of timex.h
_SPARE_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What is known of the clock: `offset_ms` is how far it is ahead of true time, `error_ms` bounds the error of that.

    The kernel knows only the bound. None stands for what is unknown, which is everything if nothing synchronises the
    clock.
    """

    source: str
    synchronised: bool
    offset_ms: float | None = None
    error_ms: float | None = None
    stratum: int | None = None


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`, with room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("spare", ctypes.c_byte * _SPARE_BYTES),
    )


def tracking_line() -> str | None:
    """Return what chronyd says of its clock, or None if there is no chronyd to ask."""
    if shutil.which(TRACKING[0]) is None:
        return None
    try:
        done = subprocess.run(TRACKING, capture_output=True, text=True, check=False, timeout=WAIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def read_clock(tracking: Callable[[], str | None] = tracking_line) -> ClockReading:
    """Return what chrony knows of the clock, or the kernel where there is no chrony."""
    line = tracking()
    reading = None if line is None else chrony_reading(line)
    return kernel_reading() if reading is None else reading


def chrony_reading(line: str) -> ClockReading | None:
    """Return the reading in a line of `chronyc -c tracking`; None if it is no such line."""
    fields = line.strip().split(",")
    if len(fields) < _FIELDS:
        return None
    if fields[_LEAP] == _NO_REFERENCE:
        return ClockReading(CHRONY, synchronised=False)
    try:
        # chrony gives the time by which the clock is slow
        offset_s = -float(fields[_SLOW_S])
        error_s = float(fields[_ROOT_DISPERSION_S]) + float(fields[_ROOT_DELAY_S]) / 2
        stratum = int(fields[_STRATUM])
    except ValueError:
        return None
    if not (math.isfinite(offset_s) and math.isfinite(error_s) and stratum >= 0):
        return None
    return ClockReading(CHRONY, True, round(offset_s * 1e3, 6), round(error_s * 1e3, 6), stratum)


def kernel_reading() -> ClockReading:
    """Return what the kernel knows of the clock: whether something synchronises it, and a bound of its error."""
    state = _Timex()
    if libc.adjtimex(ctypes.byref(state)) < 0 or state.status & _UNSYNCHRONISED:
        return ClockReading(KERNEL, synchronised=False)
    return ClockReading(KERNEL, synchronised=True, error_ms=state.maxerror / 1e3)
