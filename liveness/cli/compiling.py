"""The line on a terminal that says how far the compiling of kernels is."""

import logging
import sys
from contextlib import suppress
from typing import Final

from liveness.cli.messages import people

ERASE: Final = "\r\x1b[K"
"""To the beginning of the line, and erase it (ECMA-48)."""


def show(text: str) -> None:
    """Replace the line on the terminal, or erase it if there is no text. Pipes and quiet commands get nothing."""
    if people.level <= logging.INFO and sys.stderr.isatty():
        with suppress(OSError, ValueError):
            sys.stderr.write(ERASE + (f"liveness: {text}" if text else ""))
            sys.stderr.flush()
