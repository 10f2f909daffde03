"""Published values about availability, from surveys of others, by id."""

from typing import Final

from liveness.reference.published import Published

CENSUS_AND_SURVEY: Final = "Heidemann 2008"
"""Heidemann, Pradkin, Govindan et al.: "Census and Survey of the Visible Internet", IMC 2008."""

OUTAGES: Final = "Quan 2012"
"""Quan, Heidemann, Pradkin: "Detecting Internet Outages with Precise Active Probing", ISI-TR-678b, 2012."""


def _share(name: str, value: float, of: str, words: str, where: str) -> Published:
    return Published(name, value, value, "share", of, where, words)


VALUES: Final = {
    value.id: value
    for value in (
        _share("occupancy.below_5_percent", 0.25, "responsive /24s", "a quarter", f"{CENSUS_AND_SURVEY}, abstract"),
        _share("occupancy.above_half", 0.09, "responsive /24s", "9%", f"{CENSUS_AND_SURVEY}, abstract"),
        Published(
            "up_periods.median", 81 * 60, 81 * 60, "seconds", "up periods of addresses that are not very stable",
            f"{CENSUS_AND_SURVEY}, abstract", "81 min",
        ),
        _share("outages.at_any_time", 0.003, "/24s", "about 0.3%", f"{OUTAGES}, abstract"),
    )
}  # fmt: skip
