"""The table of Padmanabhan et al. 2015, "Timeouts: Beware Surprisingly High Delay" (IMC 2015), from surveys of ISI."""

from typing import Final

LABEL: Final = "Padmanabhan 2015"

PERCENTILES: Final = (1, 50, 80, 90, 95, 98, 99)

TIMEOUT_S: Final = (
    (0.01, 0.03, 0.04, 0.07, 0.10, 0.13, 0.18),
    (0.16, 0.19, 0.21, 0.26, 0.42, 0.53, 0.64),
    (0.19, 0.26, 0.33, 0.43, 0.54, 0.74, 1.21),
    (0.22, 0.31, 0.42, 0.57, 0.84, 1.61, 3),
    (0.25, 1.42, 2.38, 3, 5, 9, 15),
    (0.30, 1.94, 4, 6, 12, 41, 78),
    (0.33, 2.31, 4, 8, 22, 76, 145),
)
"""Timeouts that catch x % of the pings (columns) of y % of the addresses (rows), by PERCENTILES, in seconds."""
