"""Owns what a timer is to start: a census' command, its user, where it works and where it writes."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CAPABILITIES: Final = ("CAP_NET_RAW", "CAP_NET_ADMIN")
"""Raw sockets and AF_XDP need the first; promiscuous counters, queues and large rings the second."""


@dataclass(frozen=True, slots=True)
class Job:
    """A census to start again and again. Paths are absolute."""

    name: str
    program: tuple[str, ...]
    """The command before ``census run``."""
    config: Path
    user: str | None
    """None: systemd makes one up (DynamicUser)."""
    group: str | None
    """The user's own group."""
    folder: Path
    """Where it works: relative names in the config start here."""
    output: Path
    """The directory of the census, which it writes."""
    watching: tuple[str, ...] = ()
    """Options of watching, with their values."""
    watched: tuple[Path, ...] = ()
    """Directories that these write."""
    goes_on: bool = True
    """Whether a run that ended early goes on soon: not where it is to end after a time (limits.max_runtime)."""

    @property
    def label(self) -> str:
        """The name as units and files of cron may have it; no two censuses share one."""
        return f"liveness-{escaped(self.name)}"

    def command(self, *more: str) -> tuple[str, ...]:
        """Return the words that start the census: quiet, for whoever reads its mail."""
        return (*self.program, "census", "run", "--quiet", "--config", str(self.config), *self.watching, *more)


def escaped(name: str) -> str:
    """Return a name of letters, digits, ``-`` and ``_``, another one for each name, as systemd-escape has it.

    Of other characters each byte is written as ``_`` and two digits; cron reads no file with a backslash in its name.
    """
    text = re.sub(r"[^A-Za-z0-9-]", lambda found: "".join(f"_{byte:02x}" for byte in os.fsencode(found[0])), name)
    return re.sub(r"-(?=boot$)", "_2d", text)  # what ends in -boot is the unit of another census' boot


@dataclass(frozen=True, slots=True)
class InstalledFile:
    """A file to write: its name and its text."""

    name: str
    text: str
