"""The line on a terminal that says how far the compiling of kernels is."""

import logging
import os
import sys
from contextlib import suppress
from typing import Final

from liveness.cli.messages import people

ERASE: Final = "\r\x1b[K"
"""To the beginning of the line, and erase it (ECMA-48)."""
_COLUMNS: Final = 80
"""The width of a terminal that does not say how wide it is."""


def show(text: str) -> None:
    """Replace the line on the terminal, or erase it if there is no text. Pipes and quiet commands get nothing."""
    if people.level <= logging.INFO and sys.stderr.isatty():
        with suppress(OSError, ValueError):
            line = f"liveness: {text}"[: _columns() - 1] if text else ""  # a line that wraps would not be erased whole
            sys.stderr.write(ERASE + line)
            sys.stderr.flush()


def _columns() -> int:
    with suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    return _COLUMNS
