"""Usage errors of click, rewritten as one line in this tool's style."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from liveness.errors import LivenessError

if TYPE_CHECKING:
    from liveness.config.model import Config

_QUOTED_OPTION: Final = re.compile(r"^Option '([^']+)' requires (?:an argument|\d+ arguments)\.?$")
_NO_NUMBER: Final = re.compile(r"'(.*)' is not a valid (integer|float)( range)?\.?$", re.DOTALL)
_NO_CHOICE: Final = re.compile(r"'(.*)' is not one of (.*)\.$", re.DOTALL)
_NO_RANGE: Final = re.compile(r"(\S+) is not in the range (.*)\.$")
_LEAST: Final = re.compile(r"(\d+)<=x|x>=(\d+)")
_MOST: Final = re.compile(r"x<=(\d+)")
_NO_COMMAND: Final = re.compile(r"No such command '(.*)'\.")
_NUMBERS: Final = {"integer": "a whole number", "float": "a number"}


@contextmanager
def naming(config: "Config", file: Path | None, options: Mapping[str, str] | None = None) -> Iterator[None]:
    """Replace the name of a config in an error's message by its file.

    Without a file, everything comes from the command line: the path of a field is replaced by its option in `options`.
    """
    try:
        yield
    except LivenessError as error:
        known = f"config {config.name!r}: "
        if not str(error).startswith(known):
            raise
        text = str(error).removeprefix(known)
        if file is not None:
            raise type(error)(f"{file}: {text}") from error
        path, between, problem = text.partition(": ")
        option = (options or {}).get(path.removeprefix("$."))
        raise type(error)(text if option is None else f"{option}{between}{problem}") from error


def line_of(error: click.ClickException) -> str:
    """Return the problem, the expected value and the command for help, in one line without "error:"."""
    text = _problem(error)
    context = error.ctx if isinstance(error, click.UsageError) else None
    return text if context is None else f"{text} (see `{context.command_path} --help`)"


def _problem(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        near = error.possibilities or ()
        return f"no option {error.option_name}" + (f": did you mean {' or '.join(sorted(near))}?" if near else "")
    if isinstance(error, click.MissingParameter):
        return f"{_name(error.param)} is missing"
    if isinstance(error, click.BadParameter):
        name = _name(error.param)
        return f"{name}: {_expected(error.message)}" if name else _expected(error.message)
    if match := _QUOTED_OPTION.match(error.message):
        return f"{match[1]}: a value is missing"
    if (match := _NO_COMMAND.match(error.message)) and isinstance(error, click.UsageError) and error.ctx is not None:
        return no_command(match[1], _commands(error.ctx))
    text = error.message.rstrip(".")
    return text[:1].lower() + text[1:]


def no_command(name: str, commands: Sequence[str]) -> str:
    """Return the message about a command that does not exist."""
    near = difflib.get_close_matches(name, commands, n=1)
    return f"no command {name!r}: " + (
        f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(commands)}"
    )


def _commands(context: click.Context) -> list[str]:
    return context.command.list_commands(context) if isinstance(context.command, click.Group) else []


def _name(parameter: click.Parameter | None) -> str:
    """Return the longest name of an option, or the name of an argument in the usage line."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return "" if parameter is None else (parameter.metavar or (parameter.name or "").upper()).removesuffix("...")


def _expected(message: str) -> str:
    if match := _NO_NUMBER.match(message):
        return f"{match[1]!r}: expected {_NUMBERS[match[2]]}"
    if match := _NO_CHOICE.match(message):
        return f"{match[1]!r}: expected one of {match[2].replace(chr(39), '')}"
    if match := _NO_RANGE.match(message):
        least, most = _LEAST.search(match[2]), _MOST.search(match[2])
        bounds = [f"at least {least[1] or least[2]}"] if least else []
        bounds += [f"at most {most[1]}"] if most else []
        return f"{match[1]}: expected a number, {' and '.join(bounds) or match[2]}"
    text = message.rstrip(".")
    return text[:1].lower() + text[1:]
