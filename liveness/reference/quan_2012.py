"""Quan, Heidemann, Pradkin 2012, "Detecting Internet Outages with Precise Active Probing" (ISI-TR-678b)."""

from typing import Final

from liveness.reference.published import Published

LABEL: Final = "Quan 2012"

DOWN_AT_ANY_TIME: Final = Published("outages.down", 0.003, 0.003, "share", "/24s", "abstract", "about 0.3%")
