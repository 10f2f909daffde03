"""Verdicts about the blocks of an imported survey, as another tool recorded them: a byte for each block and round.

A file has a row for each block. The manifest names the probes that have one.
"""

from typing import Final

FOLDER: Final = "verdicts"
DOWN: Final = 0
UP: Final = 1
UNCERTAIN: Final = 2
NO_VERDICT: Final = 255
"""No verdict was recorded for the round."""


def verdicts_name(probe: str) -> str:
    """Return the name of the file of verdicts below the run directory."""
    return f"{FOLDER}/{probe.replace('/', '-')}.states"
