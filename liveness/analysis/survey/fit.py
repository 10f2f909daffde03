"""The daily wave of a series: level, trend, and one to four cycles a day, by least squares."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.diurnal import DAY_S, FEWEST_DAYS

HARMONICS: Final = (1, 2, 3, 4)
"""Office hours are a square wave rather than a sine."""


class DailyFit(NamedTuple):
    """The fitted series, the amplitude of one cycle a day, and the UTC hour at which that cycle peaks."""

    fitted: NDArray[np.float64]
    amplitude: float
    peak_hour_utc: float


def daily_fit(series: NDArray[np.float64], interval_s: float, start_s: float) -> DailyFit | None:
    """Return the daily wave of a series by round, NaN for rounds without a value; `start_s` is the time of round 0.

    None for less than three days of rounds, or if half of the rounds have no value.
    """
    known = ~np.isnan(series)
    if len(series) * interval_s < FEWEST_DAYS * DAY_S or 2 * int(known.sum()) <= len(series):
        return None
    at_s = start_s % DAY_S + np.arange(len(series)) * interval_s  # phases count from midnight UTC
    columns = [np.ones(len(series)), np.linspace(-1, 1, len(series))]
    for harmonic in HARMONICS:
        angle = 2 * np.pi * harmonic * at_s / DAY_S
        columns += [np.cos(angle), np.sin(angle)]
    basis = np.column_stack(columns)
    factors, *_ = np.linalg.lstsq(basis[known], series[known], rcond=None)
    cosine, sine = float(factors[2]), float(factors[3])
    # a cos(x) + b sin(x) is sqrt(a² + b²) cos(x - atan2(b, a)), and peaks where x = atan2(b, a)
    peak_hour = float(np.arctan2(sine, cosine)) / (2 * np.pi) % 1.0 * 24
    fitted: NDArray[np.float64] = basis @ factors
    return DailyFit(fitted, float(np.hypot(cosine, sine)), peak_hour)
