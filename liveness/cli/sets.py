"""``liveness sets``: IP sets of any format: view, combine, sample, count and convert."""

import json
import re
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from liveness import log
from liveness.cli.interrupts import interrupts
from liveness.errors import UsageError, count_of
from liveness.files.outputs import check_output
from liveness.ipsets.formats.table import FORMATS, READABLE, RESULTS, output_format

if TYPE_CHECKING:
    from pyroaring import BitMap

    from liveness.ipsets.algebra import Operation
    from liveness.ipsets.files import Reader, SetFile

STDIN = "-"
SKIPPED = "liveness.cli.sets.skipped"
"""The key under which click keeps the count of skipped IPv6 lines."""
SEED_BITS = 63

HAVE_COLUMNS = frozenset({"csv", "jsonl"})
HAVE_NAMES = frozenset({"ipset", "nft"})
HAVE_PORTS = frozenset(RESULTS)
OWN_OPTIONS = (
    ("--column", "column", HAVE_COLUMNS),
    ("--set", "set_name", HAVE_NAMES),
    ("--ports", "ports", HAVE_PORTS),
    ("--states", "states", HAVE_PORTS),
)
"""Options that only some formats support."""

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.argument("file")
FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
INPUT = (
    click.option("--from", "from_format", type=click.Choice(list(READABLE)), help="What the files are, if not seen."),
    click.option("--column", help="The CSV column or JSON member with the addresses; saddr unless given."),
    click.option("--set", "set_name", metavar="NAME", help="Which set of an ipset or nft file with several."),
    click.option(
        "--ports", help="Of results of masscan and nmap: ports that count, as tcp/80,udp/53; all unless given."
    ),
    click.option("--states", help="Of the same: states of ports that count, as open,closed; open unless given."),
    click.option(
        "--skip-ipv6",
        is_flag=True,
        expose_value=False,
        callback=lambda context, _, wanted: _count_ipv6(context) if wanted else None,
        help="Leave lines of IPv6 in text out, and say how many there were.",
    ),
)
OUTPUT = (
    click.option("-o", "--output-file", metavar="FILE", help="Where to write; standard output unless given."),
    click.option(
        "--to", "to_format", type=click.Choice(list(FORMATS)), help="The format to write, if not the suffix's."
    ),
    click.option(
        "--name", "written_name", metavar="NAME", help="What to call the set in ipset and nft; liveness if not given."
    ),
)


def with_options(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Add several options to a command, listed in this order."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _count_ipv6(context: click.Context) -> None:
    """Count lines of IPv6, and print the count at the end."""
    from liveness.space.prefixes import Skipped

    skipped = context.meta[SKIPPED] = Skipped()
    context.call_on_close(lambda: log.info(f"{count_of(skipped.lines, 'line')} of IPv6 skipped", lead=""))


class Reading:
    """The files of a command, and whether any of their formats supports the options that only some formats do."""

    def __init__(self, reader: "Reader", given: dict[str, str | None]) -> None:
        self._reader, self._given = reader, given
        self._formats: dict[str, str] = {}

    def read(self, path: str) -> "SetFile":
        """Return a file's set and format."""
        found = self._reader.read(path)
        self._formats[path] = found.format
        return found

    def addresses(self, path: str) -> "BitMap":
        """Return a file's members."""
        return self.read(path).addresses

    def check(self) -> None:
        """Raise UsageError for an option that no file's format supports, because it would have no effect."""
        for option, key, known in OWN_OPTIONS:
            if self._given.get(key) is not None and self._formats and not known & set(self._formats.values()):
                path, form = next(iter(self._formats.items()))
                raise UsageError(f"{option}: {path} is {form}: only {' and '.join(sorted(known))} have one")


class ExpressionCommand(click.Command):
    """A command whose argument may begin with a minus and a blank: ``- & a.txt`` is not an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; standard input at the beginning of an expression is put in parentheses."""
        return super().parse_args(ctx, [f"(-){text[1:]}" if text[:2] in ("- ", "-\t") else text for text in args])


def formats_help() -> str:
    """Return the list of formats for the help text."""
    rows = [f"  {form.name:<10} {' '.join(form.suffixes):<24} {form.describes}" for form in READABLE.values()]
    return "\b\nFormats:\n" + "\n".join(rows)


@click.group("sets", epilog=formats_help())
def command() -> None:
    """Look at IP sets, combine, sample, count and convert them.

    A file is read as what its content or else its suffix says, - is standard input. What is written goes to standard
    output as prefixes, or to the file of -o in the format of its suffix.
    """
    click.get_current_context().with_resource(interrupts.ending_soon())


@command.command(short_help="Print format, size and extent of each FILE.")
@FILES
@with_options(*INPUT, AS_JSON)
def info(files: tuple[str, ...], as_json: bool, **given: str | None) -> None:
    """Print what each FILE is: format, bytes, addresses, /24s, the first and the last address."""
    reader = _reader(given, files)
    described = [_described(found) for found in map(reader.read, files)]
    reader.check()
    if as_json:
        click.echo(json.dumps(described, indent=2))
        return
    rows = [list(described[0]), *([_cell(value) for value in row.values()] for row in described)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())


@command.command(short_help="Print the members of all FILEs as prefixes.")
@FILES
@with_options(*INPUT, *OUTPUT)
def cat(files: tuple[str, ...], **given: str | None) -> None:
    """Print the members of all FILEs in ascending order, each once: as prefixes, or --to addresses or ranges."""
    _combine("unite", files, given)


@command.command()
@FILES
@with_options(*INPUT, *OUTPUT)
def union(files: tuple[str, ...], **given: str | None) -> None:
    """Write what is in any FILE."""
    _combine("unite", files, given)


@command.command()
@FILES
@with_options(*INPUT, *OUTPUT)
def intersect(files: tuple[str, ...], **given: str | None) -> None:
    """Write what is in every FILE."""
    _combine("intersect", files, given)


@command.command()
@FILES
@with_options(*INPUT, *OUTPUT)
def difference(files: tuple[str, ...], **given: str | None) -> None:
    """Write what is in the first FILE and in none of the others."""
    _combine("subtract", files, given)


@command.command(short_help="Write what is in an odd number of FILEs.")
@FILES
@with_options(*INPUT, *OUTPUT)
def symdiff(files: tuple[str, ...], **given: str | None) -> None:
    """Write what is in an odd number of FILEs: of two, what is in one only."""
    _combine("symmetric_difference", files, given)


@command.command("eval", cls=ExpressionCommand, short_help="Write what EXPRESSION makes of many files.")
@click.argument("expression")
@with_options(*INPUT, *OUTPUT)
def evaluate_command(expression: str, **given: str | None) -> None:
    """Write what EXPRESSION makes of any number of files: '(a.roaring | b.txt) - c.set'.

    Operators: - binds first, then & ^ |, as in Python's sets. A minus stands between blanks. Prefixes, ranges and
    addresses may stand for themselves: 'a.roaring & 10.0.0.0/8'. Quote names with blanks or operators in them.
    """
    from liveness.ipsets.expression import evaluate, parse

    tree = parse(expression)
    _check_output(given)
    reader = _reader(given, ())
    result = evaluate(tree, reader.addresses)
    reader.check()
    _write(result, given)


@command.command(short_help="Check whether FILE holds every ADDRESS.")
@FILE
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing: the exit code is the answer.")
@with_options(*INPUT, AS_JSON)
def contains(file: str, addresses: tuple[str, ...], quiet: bool, as_json: bool, **given: str | None) -> int:
    """Check whether FILE holds every ADDRESS, or all of a prefix or range.

    Exit code 0 if it does, 1 if it does not, 2 on errors.
    """
    from liveness.space.addresses import parse_entry

    bounds = {}
    for text in addresses:
        try:
            bounds[text] = parse_entry(text)
        except ValueError as problem:
            raise UsageError(str(problem)) from None
    held = _only(file, given)
    found = {text: held.range_cardinality(low, high + 1) == high + 1 - low for text, (low, high) in bounds.items()}
    if as_json and not quiet:
        click.echo(json.dumps(found, indent=2))
    elif not quiet:
        for text, inside in found.items():
            click.echo(f"{text}\t{'yes' if inside else 'no'}")
    return 0 if all(found.values()) else 1


@command.command(short_help="Write SIZE members of FILE, drawn at random.")
@FILE
@click.option("-n", "--size", type=click.IntRange(min=0), required=True, help="How many; all if there are no more.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw the same again. One is drawn and printed if not given.")
@with_options(*INPUT, *OUTPUT)
def sample(file: str, size: int, seed: int | None, **given: str | None) -> None:
    """Write SIZE members of FILE, drawn at random: every choice of them is equally likely."""
    from liveness.ipsets.sample import sample as drawn

    _check_output(given)
    addresses = _only(file, given)
    if seed is None:
        seed = secrets.randbits(SEED_BITS)
        log.info(f"--seed {seed}", lead="")
    _write(drawn(addresses, size, seed), given)


@command.command(short_help="Count the addresses of FILEs, or by prefix.")
@FILES
@click.option("--by", metavar="/N", help="Count within each prefix of this length, as /24; empty ones are left out.")
@with_options(*INPUT, AS_JSON)
def count(files: tuple[str, ...], by: str | None, as_json: bool, **given: str | None) -> None:
    """Print how many addresses each FILE holds, or, with --by, how many of one FILE lie in each prefix."""
    length = _prefix_length(by) if by is not None else None
    if length is not None and len(files) > 1:
        raise UsageError("--by counts within one FILE: unite several first, and count -")
    reader = _reader(given, files)
    if length is not None:
        _count_by(_only(files[0], given), length, as_json=as_json)
        return
    counts = [(path, len(reader.addresses(path))) for path in files]
    reader.check()
    if as_json:
        click.echo(json.dumps([{"file": path, "addresses": held} for path, held in counts], indent=2))
        return
    for path, held in counts:
        click.echo(str(held) if len(files) == 1 else f"{held}\t{path}")


@command.command(short_help="Write FILE again in another format.")
@FILE
@click.argument("output_file", metavar="OUTPUT")
@with_options(*INPUT, *OUTPUT[1:])
def convert(file: str, **given: str | None) -> None:
    """Write FILE again as OUTPUT, in the format of its suffix or of --to; - is standard output."""
    _check_output(given)
    _write(_only(file, given), given)


def _only(file: str, given: dict[str, str | None]) -> "BitMap":
    """Return the members of a command's single file."""
    reader = _reader(given, ())
    addresses = reader.addresses(file)
    reader.check()
    return addresses


def _reader(given: dict[str, str | None], files: tuple[str, ...]) -> Reading:
    """Return a reader of the files with these options. UsageError if standard input would be read twice."""
    from liveness.ipsets.files import Reader
    from liveness.ipsets.formats.codec import DEFAULT_COLUMN, Choice

    if files.count(STDIN) > 1:
        raise UsageError("standard input (-) can be read only once")
    skipped = click.get_current_context().meta.get(SKIPPED)
    ports, states = (_words(given.get(name)) for name in ("ports", "states"))
    for port in ports or ():
        if not re.fullmatch(r"(tcp|udp|sctp)/\d{1,5}", port):
            raise UsageError(f"--ports: {port!r}: expected a protocol and a port such as tcp/80")
    choice = Choice(given.get("column") or DEFAULT_COLUMN, given.get("set_name"), skipped=skipped, ports=ports)
    if states is not None:
        choice = replace(choice, states=states)
    return Reading(Reader(given.get("from_format"), choice), given)


def _words(text: str | None) -> frozenset[str] | None:
    """Return the words of a text separated by commas; None for None."""
    return None if text is None else frozenset(word.strip() for word in text.split(",") if word.strip())


def _check_output(given: dict[str, str | None]) -> None:
    """Raise UsageError for an output that cannot be written, before a large set is read."""
    path = given.get("output_file")
    form = output_format(path, given.get("to_format"))
    if path is not None and path != STDIN:
        check_output(Path(path), "a set")
    if given.get("written_name") is not None and form.name not in HAVE_NAMES:
        raise UsageError(f"--name: {form.name} is written: only {' and '.join(sorted(HAVE_NAMES))} have one")


def _write(addresses: "BitMap", given: dict[str, str | None]) -> None:
    """Write a result to the output and in the format of the options."""
    from liveness.ipsets.files import write_set
    from liveness.ipsets.formats.codec import Choice

    path = given.get("output_file")
    form = output_format(path, given.get("to_format"))
    write_set(path, addresses, form, Choice(set_name=given.get("written_name")))


def _combine(name: str, files: tuple[str, ...], given: dict[str, str | None]) -> None:
    """Write the result of an operation of `ipsets.algebra` on files, from left to right."""
    from liveness.ipsets import algebra

    operations: dict[str, Operation] = {
        "unite": algebra.unite,
        "intersect": algebra.intersect,
        "subtract": algebra.subtract,
        "symmetric_difference": algebra.symmetric_difference,
    }
    _check_output(given)
    reader = _reader(given, files)
    result = algebra.combined(operations[name], map(reader.addresses, files))
    reader.check()
    _write(result, given)


def _count_by(addresses: "BitMap", length: int, *, as_json: bool) -> None:
    """Print the number of members in each prefix of a length, ascending."""
    from liveness.ipsets.formats.lines import write_counts
    from liveness.ipsets.runs import counts

    out = sys.stdout.buffer
    if not as_json:
        write_counts(out, counts(addresses, length), length, (b"", b"\t", b"\n"))
        return
    out.write(b"{")
    write_counts(out, counts(addresses, length), length, (b',\n  "', b'": ', b""), skip=1)
    out.write(b"\n}\n")


def _prefix_length(text: str) -> int:
    """Return the prefix length in ``/24`` or ``24``; UsageError if it is invalid."""
    length = text.removeprefix("/")
    if length not in map(str, range(33)):
        raise UsageError(f"--by {text}: not a prefix length: one from /0 to /32")
    return int(length)


def _described(found: "SetFile") -> dict[str, str | int | None]:
    """Return the fields that `info` prints of a set file."""
    from liveness.ipsets.runs import touched
    from liveness.space.addresses import format_address

    held = found.addresses
    return {
        "file": found.path,
        "format": found.format,
        "bytes": found.size_bytes,
        "addresses": len(held),
        "prefixes24": touched(held, 24),
        "min": format_address(held.min()) if held else None,
        "max": format_address(held.max()) if held else None,
    }


def _cell(value: str | int | None) -> str:
    """Return a value as text for a table."""
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else value
