"""Entry point of the command line: the group of commands, and the conversion of errors to messages and exit codes."""

import errno
import importlib
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import click

from liveness import log
from liveness.cli import compiling, messages
from liveness.cli.interrupts import EXIT_CODE, interrupts
from liveness.cli.mistakes import line_of, no_command
from liveness.cli.streams import OutputError, take_streams
from liveness.compiling import display as compile_display
from liveness.errors import ConfigWarning, LivenessError, explain
from liveness.version import __version__

PROGRAM = "liveness"
LONGEST_SENTENCE = 500
"""In characters: no first sentence of a help text is longer."""

COMMANDS: dict[str, str] = {
    "scan": "Take a census: probe every target, match every reply, write the sets.",
    "census": "Take censuses that recur, unattended, and look at their history.",
    "analyze": "Print the analysis of one run or of several.",
    "sets": "Look at IP sets of many formats, combine, sample, count and convert them.",
    "flows": "Look at flow records of any format, convert, meter and collect them.",
    "passive": "Classify the one-way traffic of a network from its flows, and find services that fail.",
    "config": "Check, show and start configs of a census.",
    "blocklist": "Keep the lists of those who opted out, and take them out of runs on disk.",
    "doctor": "Probe what this machine lets the tool do, with the remedy for what is missing.",
    "identity": "Write the opt-out page, reverse DNS names and WHOIS remarks of a census.",
    "lab": "Run commands in a private network of real hosts, and check runs against its truth.",
    "probes": "List the probes: what each sends, and what counts as a reply.",
    "merge": "Unite the shards of a census, taken on several machines, into one run.",
    "fleet": "Take a census from many vantage points, placed by Dask and kept in object storage.",
    "replay": "Make the sets of a run again from captured packets, and compare.",
    "survey": "Run, import, analyse and export surveys of availability.",
    "replies": "Query the log of replies with SQL, or sum it up.",
    "warm": "Compile the kernels of commands ahead, for images and packages.",
}
"""Short help of each command; the command itself and its imports are loaded when it is called."""


def _describe_whole(command: click.Command) -> None:
    """Give the commands of a group their first sentences as short help, which click would cut within a word."""
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        below.short_help = below.short_help or below.get_short_help_str(LONGEST_SENTENCE)
        _describe_whole(below)


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is called, so that ``--help`` is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Import and return a command, or None if there is none with that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"liveness.cli.{cmd_name}").command
        _describe_whole(command)
        return messages.with_options(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        """Write the list of commands from the table without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return a command by its full name; for an unknown name the error suggests a similar one.

        ``version`` and ``help COMMAND`` are accepted too, since other programs have these as commands.
        """
        replacement = {"version": ["--version"], "help": [*args[1:], "--help"]}.get(args[0]) if args else None
        if replacement is not None:
            self.main(replacement, prog_name=PROGRAM, standalone_mode=False)
            ctx.exit()
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(no_command(args[0], list(COMMANDS)))
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name=PROGRAM, help="Print the version.")
def group() -> None:
    """Take a census of IPv4 liveness and analyse it.

    Eight probes at once, every reply matched, IP sets on disk.
    """


group.params += messages.options()


REMOVED: Final = "the current directory was removed: change to one that exists"


def run() -> None:
    """Run the command line and exit with the exit code of the result."""
    take_streams()
    messages.install()
    compile_display.show_on(compiling.show)
    interrupts.install()
    warnings.showwarning = partial(_show_warning, warnings.showwarning)
    warnings.simplefilter("always", ConfigWarning)
    try:
        code = _run()
        sys.stdout.flush()
    except OutputError as error:
        code = _refused(error)
    except BaseException as error:
        if not interrupts.requested and not isinstance(error, (click.Abort, KeyboardInterrupt)):
            raise
        _leave_interrupted()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # do not interrupt the interpreter's finalisation
    sys.exit(code)


def _leave_interrupted() -> NoReturn:
    """Exit with the exit code of Ctrl-C, without finalising the interpreter.

    At finalisation CPython kills itself with SIGINT if the signal ever interrupted an ``exec`` of text (``namedtuple``,
    ``dataclass``), even if the exception was handled: the exit code would depend on timing.
    """
    with suppress(OSError, OutputError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(EXIT_CODE)


def _run() -> int:
    """Run the command and return its exit code; print an error that the user can correct as one line."""
    try:
        code = group.main(prog_name=PROGRAM, standalone_mode=False)
    except SystemExit as leaving:
        code = leaving.code
    except BrokenPipeError:  # the reader of a pipe given as output file has closed it
        code = 0
    except (LivenessError, OSError) as error:
        if interrupts.requested:
            raise
        log.error(_line(error))
        code = error.exit_code if isinstance(error, LivenessError) else LivenessError.exit_code
    except click.ClickException as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # of click 8.2 and later
            error.show()
        else:
            log.error(line_of(error))
        code = error.exit_code
    return code if isinstance(code, int) else 0


def _show_warning(
    others: Callable[..., None], message: Warning | str, category: type[Warning], *rest: object, **named: object
) -> None:
    """Print a config warning as a message; pass other warnings to the previous function."""
    if issubclass(category, ConfigWarning):
        log.warning(str(message))
    else:
        others(message, category, *rest, **named)


def _refused(error: OutputError) -> int:
    """Report that standard output cannot be written, and return the exit code; a closed pipe is no error."""
    if error.is_gone:
        return 0
    log.error(str(error))
    return LivenessError.exit_code


def _line(error: LivenessError | OSError) -> str:
    """Return the line for an error; an error of the system that no other code handles names its file and reason.

    If permissions of another user's file are the reason, the line names the owner.
    """
    if not _has_directory():
        return REMOVED if isinstance(error, OSError) else f"{error}: {REMOVED}"
    named = error.filename if isinstance(error, OSError) else None
    text = explain(error) if named is None else f"{named}: {error.strerror}"  # type: ignore[union-attr]  # an OSError
    reason = _whose(error, text)
    return text if reason is None else f"{text}: {reason}"


def _has_directory() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _whose(error: BaseException, text: str) -> str | None:
    """Return the owner of what this process may not access, and the remedy; None if that is not the reason."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PermissionError):
        cause = cause.__cause__
    if cause is None and os.strerror(errno.EACCES).lower() not in text.lower():
        return None
    from liveness.files.denied import why_denied

    beginning = text.partition(": ")[0]
    names = [cause.filename] if isinstance(cause, PermissionError) and isinstance(cause.filename, str) else []
    places = [Path(name) for name in (beginning, *names) if os.path.lexists(name) or "/" in name]
    return next((reason for place in places if (reason := why_denied(place)) is not None), None)
