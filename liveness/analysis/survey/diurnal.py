"""Diurnal blocks: those whose number of active addresses has a daily cycle (Quan, Heidemann and Pradkin 2014)."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

DAY_S: Final = 86_400.0
FEWEST_DAYS: Final = 3
LEAST_AMPLITUDE: Final = 2.0
"""Smallest amplitude of the daily wave in addresses: with less, a few hosts would make a block diurnal."""
DOMINANCE: Final = 2.0
"""Ratio of the daily line of a strictly diurnal block to the strongest line that is not a harmonic of it."""

DiurnalClass = Literal["strict", "relaxed", "none"]


@dataclass(frozen=True, slots=True)
class Diurnal:
    """The daily cycle of a block: its class, its amplitude in addresses, and the UTC hour of its peak."""

    kind: DiurnalClass
    amplitude: float = 0.0
    peak_hour_utc: float | None = None


NONE: Final = Diurnal("none")


def classify(active: NDArray[np.float64], interval_s: float, start_s: float) -> Diurnal:
    """Return the daily cycle of a series: active addresses by round, NaN for rounds that were not sent.

    The series is cut to whole days, and its mean and linear trend are removed. In the spectrum of N days, line N is one
    cycle a day. *Strict*: this line is the strongest, and at least twice the strongest that is not a harmonic of it.
    *Relaxed*: the strongest line is one or two cycles a day. Less than three days, or an amplitude below two addresses,
    give *none*. `start_s` is the time of round 0 since the epoch.
    """
    days = int(len(active) * interval_s / DAY_S + 1e-9)
    if days < FEWEST_DAYS:
        return NONE
    count = round(days * DAY_S / interval_s)
    series = filled(active[:count])
    if series is None or len(series) < 4 * days + 1:
        return NONE
    position = np.arange(len(series))
    slope, level = np.polyfit(position, series, 1)
    spectrum = np.fft.rfft(series - (slope * position + level))
    lines = np.abs(spectrum)
    lines[0] = 0.0
    strongest = int(np.argmax(lines))
    amplitude = 2 * lines[days] / len(series)
    if strongest not in (days, 2 * days) or 2 * lines[strongest] / len(series) < LEAST_AMPLITUDE:
        return NONE
    # The wave is amplitude x cos(2 pi k n / N + phase), so that its peak is where the argument is 0.
    cycle = -float(np.angle(spectrum[days])) / (2 * np.pi) % 1.0
    period_s = len(series) * interval_s / days
    peak_hour = (start_s + cycle * period_s) % DAY_S / 3600
    others = lines.copy()
    others[days::days] = 0.0
    strict = strongest == days and lines[days] >= DOMINANCE * others.max()
    return Diurnal("strict" if strict else "relaxed", float(amplitude), float(peak_hour))


def filled(series: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return a series with its gaps interpolated; None if more than half of it is missing."""
    known = np.flatnonzero(~np.isnan(series))
    if 2 * len(known) <= len(series):
        return None
    return np.interp(np.arange(len(series)), known, series[known])
