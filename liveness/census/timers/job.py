"""Job of a timer: the command of a census, its user, its working directory, and the directories it writes."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CAPABILITIES: Final = ("CAP_NET_RAW", "CAP_NET_ADMIN")
"""Raw sockets and AF_XDP need the first; counters, queues and large rings need the second."""


@dataclass(frozen=True, slots=True)
class Job:
    """Census that a timer starts. Paths are absolute."""

    name: str
    program: tuple[str, ...]
    """Command before ``census run``."""
    config: Path
    user: str | None
    """User that runs it; None for a dynamic user of systemd (DynamicUser)."""
    group: str | None
    """Primary group of the user."""
    folder: Path
    """Working directory, to which relative paths in the config refer."""
    output: Path
    """Directory of the census, which the job writes."""
    watching: tuple[str, ...] = ()
    """Options that publish the state of scans, with their values."""
    watched: tuple[Path, ...] = ()
    """Directories that these options write to."""
    also_written: tuple[Path, ...] = ()
    """Directories that the job makes and writes besides its own: that of the survey after the census."""
    goes_on: bool = True
    """Whether a run that ended early is resumed soon. False if the config limits the duration (limits.max_runtime)."""
    followed: bool = False
    """Whether the same call runs a survey after the census, whose end says nothing of the census."""

    @property
    def label(self) -> str:
        """Name of units and cron files; no two censuses have the same."""
        return f"liveness-{escaped(self.name)}"

    def command(self, *more: str) -> tuple[str, ...]:
        """Return the words that start the census, without progress output, so that cron mails only problems."""
        return (*self.program, "census", "run", "--quiet", "--config", str(self.config), *self.watching, *more)


def escaped(name: str) -> str:
    """Return a unique name of letters, digits, ``-`` and ``_``, similar to systemd-escape.

    Each byte of other characters becomes ``_`` and two hex digits, because cron ignores file names with a backslash.
    """
    text = re.sub(r"[^A-Za-z0-9-]", lambda found: "".join(f"_{byte:02x}" for byte in os.fsencode(found[0])), name)
    return re.sub(r"-(?=boot$)", "_2d", text)  # a name with the suffix -boot is reserved for the boot unit


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """File to be written: its name and its text."""

    name: str
    text: str
