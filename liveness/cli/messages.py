"""Destinations of messages: standard error for the user, files of JSON lines for programs."""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from liveness.clock import utc
from liveness.errors import UsageError
from liveness.log import LEADS, LEVELS, LOGGER, NOTICE

if TYPE_CHECKING:
    from collections.abc import Callable

    from liveness.runs.rundir import RunDirectory

RUN_FILE: Final = "messages.jsonl"
"""The file of a run's messages, in its directory."""
OPTIONS: Final = ("log_level", "log_file")


def echo(lead: str, text: str) -> None:
    """Write a line to standard error."""
    click.echo(f"{lead}{text}", err=True)


class ForPeople(logging.Handler):
    """Handler that writes messages to standard error, as lines of text."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.write: Callable[[str, str], None] = echo
        """A function that writes a prefix and a text; a live display replaces it with its own."""

    def reset(self) -> None:
        """Write to standard error again."""
        self.write = echo

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message. If it cannot be written it is lost, and no error is raised."""
        if getattr(record, "shown", True):
            with suppress(OSError, ValueError):
                self.write(getattr(record, "lead", LEADS.get(record.levelno, "liveness: ")), record.getMessage())


class ForMachines(logging.Handler):
    """Handler that appends messages to a file, each as a JSON document in one line.

    A line is written by one system call, so that processes that share the file do not mix their lines. A descriptor
    that belongs to another file now, as after a fork that closed it, is not used.
    """

    def __init__(self, descriptor: int, level: int) -> None:
        super().__init__(level)
        self._descriptor = descriptor
        self._file = _identity(descriptor)

    def emit(self, record: logging.LogRecord) -> None:
        """Append one message. If it cannot be written it is lost, and no error is raised."""
        with suppress(OSError, ValueError):
            if _identity(self._descriptor) == self._file:
                os.write(self._descriptor, line_of(record))

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            if _identity(self._descriptor) == self._file:
                os.close(self._descriptor)
        super().close()


people: Final = ForPeople()
_kept: ForMachines | None = None


def install() -> None:
    """Send messages to standard error only."""
    LOGGER.propagate = False
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.addHandler(people)


def quieten(level: int = NOTICE) -> None:
    """Show only messages of a level and above; --log-level may select fewer."""
    people.setLevel(max(people.level, level))


def keep_with(run: "RunDirectory") -> None:
    """Append messages to a file in a run directory, until the process ends.

    If the file cannot be written, messages of the run go to standard error only.
    """
    global _kept  # noqa: PLW0603 - a process runs one scan at a time
    if _kept is not None:
        LOGGER.removeHandler(_kept)
        _kept.close()
        _kept = None
    with suppress(OSError), run.files() as directory:
        _kept = ForMachines(directory.append_to(RUN_FILE), logging.INFO)
        LOGGER.addHandler(_kept)


def line_of(record: logging.LogRecord) -> bytes:
    """Return a message as a JSON document in one line."""
    document = {
        "time": utc(round(record.created * 1e9)),
        "level": record.levelname.lower(),
        "message": record.getMessage(),
        "process": record.process,
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def with_options(command: click.Command) -> click.Command:
    """Add the options --log-level and --log-file to a command and all its subcommands."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            with_options(below)
    elif not any(parameter.name in OPTIONS for parameter in command.params):
        command.params += options()
    return command


def options() -> list[click.Parameter]:
    """Return the two options of every command."""
    return [
        click.Option(
            ["--log-level"],
            type=click.Choice(list(LEVELS)),
            expose_value=False,
            is_eager=True,
            callback=_set_level,
            help="Show messages of this level and above on standard error; info if not given.",
        ),
        click.Option(
            ["--log-file"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            expose_value=False,
            is_eager=True,
            callback=_open_file,
            help="Append messages to this file too, a JSON document a line.",
        ),
    ]


def _set_level(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        people.setLevel(LEVELS[value])
        for handler in LOGGER.handlers:
            if isinstance(handler, ForMachines):
                handler.setLevel(min(handler.level, LEVELS[value]))


def _open_file(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is None:
        return
    from liveness.files.outputs import check_output, open_destination

    check_output(value, "messages")
    try:
        descriptor = open_destination(value, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as problem:
        raise UsageError(f"{value}: cannot write messages here: {problem.strerror}") from problem
    LOGGER.addHandler(ForMachines(descriptor, min(logging.INFO, people.level)))


def _identity(descriptor: int) -> tuple[int, int]:
    """Return device and inode of an open file."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
