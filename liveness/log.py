"""Messages of the program, for people and for machines: the one way to say something that is not data.

Every message is a record of the logger `liveness` of the standard library. The command line decides where records go
(`cli/messages.py`); in a script that imports this package they go where the script's own logging sends them.

| level | what | on standard error |
|---|---|---|
| ERROR | the command fails, and why | liveness: error: … |
| WARNING | a result is doubtful, or something will be missing | liveness: warning: … |
| NOTICE | something happened that changes the work: a pause, an interruption | liveness: … |
| INFO | what was done; not with -q | liveness: … |
| DEBUG | single steps, to find a fault | liveness: debug: … |
"""

import logging
from typing import Final

from liveness.errors import one_line

NOTICE: Final = 25
"""Between INFO and WARNING: shown also by commands with --quiet."""

LEVELS: Final = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "notice": NOTICE,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
LEADS: Final = {
    logging.ERROR: "liveness: error: ",
    logging.WARNING: "liveness: warning: ",
    NOTICE: "liveness: ",
    logging.INFO: "liveness: ",
    logging.DEBUG: "liveness: debug: ",
}
"""The text before a message on standard error."""

LOGGER: Final = logging.getLogger("liveness")
LOGGER.addHandler(logging.NullHandler())
logging.addLevelName(NOTICE, "NOTICE")


def emit(level: int, text: str, *, lead: str | None = None, shown: bool = True) -> None:
    """Record a message of one line.

    `lead` is printed before the text on standard error, in place of that of the level. `shown` False: for machines
    alone, since people see the same elsewhere.
    """
    LOGGER.log(level, "%s", one_line(text), extra={"lead": LEADS[level] if lead is None else lead, "shown": shown})


def error(text: str) -> None:
    """Record why the command fails."""
    emit(logging.ERROR, text)


def warning(text: str, *, lead: str | None = None) -> None:
    """Record what makes a result doubtful."""
    emit(logging.WARNING, text, lead=lead)


def notice(text: str, *, lead: str | None = None) -> None:
    """Record what a quiet command shows as well."""
    emit(NOTICE, text, lead=lead)


def info(text: str, *, lead: str | None = None) -> None:
    """Record what was done."""
    emit(logging.INFO, text, lead=lead)


def debug(text: str) -> None:
    """Record a single step."""
    emit(logging.DEBUG, text)
