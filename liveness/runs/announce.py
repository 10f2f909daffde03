"""Announcements of runs to a lab: each a line with the run's directory, in the file that the environment names.

A model lab thus knows which run its packets belong to, and writes its record of losses there.
"""

import os
from pathlib import Path

VARIABLE = "LAB_RUNS"
"""The name of that file; a lab sets it for the command it runs. No name beginning with LIVENESS_: those are config."""


def announce(run: Path) -> None:
    """Announce that packets from now on belong to the run in this directory; without a lab this does nothing."""
    name = os.environ.get(VARIABLE)
    if name:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(f"{run.absolute()}\n")


def announced(file: Path, known: int) -> list[Path]:
    """Return the runs announced in a file after the first `known` ones."""
    if not file.exists():
        return []
    return [Path(line) for line in file.read_text(encoding="utf-8").splitlines()[known:]]
