"""``liveness sets``: IP sets of any format: view, combine, sample, count and convert."""

import secrets
import sys
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.interrupts import interrupts
from liveness.cli.options import AS_JSON, with_options
from liveness.cli.set_options import INPUT, OUTPUT, ExpressionCommand, choices_of, formats_help
from liveness.errors import UsageError

if TYPE_CHECKING:
    from pyroaring import BitMap

    from liveness.ipsets.algebra import Operation

SEED_BITS = 63

FILE = click.argument("file")
FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...")


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
    from liveness.cli.printing import print_document
    from liveness.ipsets.description import described
    from liveness.report.views.sets import description_lines

    reading = choices_of(given).reading(files)
    descriptions = [described(reading.read(path)) for path in files]
    reading.check()
    if as_json:
        print_document(descriptions)
        return
    for line in description_lines(descriptions):
        click.echo(line)


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

    Operators: - binds first, then & ^ |, as in Python's sets. A minus needs a blank on both sides. Prefixes, ranges and
    addresses can be written directly: 'a.roaring & 10.0.0.0/8'. Quote names with blanks or operators in them.
    """
    from liveness.ipsets.expression import evaluate, parse

    tree, choices = parse(expression), choices_of(given)
    choices.check_output()
    reading = choices.reading()
    result = evaluate(tree, reading.addresses)
    reading.check()
    choices.write(result)


@command.command(short_help="Check whether FILE holds every ADDRESS.")
@FILE
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing: the exit code is the answer.")
@with_options(*INPUT, AS_JSON)
def contains(file: str, addresses: tuple[str, ...], quiet: bool, as_json: bool, **given: str | None) -> int:
    """Check whether FILE holds every ADDRESS, or all of a prefix or range.

    Exit code 0 if it does, 1 if it does not, 2 on errors.
    """
    from liveness.cli.printing import print_document
    from liveness.space.addresses import parse_entry

    bounds = {}
    for text in addresses:
        try:
            bounds[text] = parse_entry(text)
        except ValueError as problem:
            raise UsageError(str(problem)) from None
    held = choices_of(given).read(file)
    found = {text: held.range_cardinality(low, high + 1) == high + 1 - low for text, (low, high) in bounds.items()}
    if as_json and not quiet:
        print_document(found)
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

    choices = choices_of(given)
    choices.check_output()
    addresses = choices.read(file)
    if seed is None:
        seed = secrets.randbits(SEED_BITS)
        log.info(f"--seed {seed}", lead="")
    choices.write(drawn(addresses, size, seed))


@command.command(short_help="Count the addresses of FILEs, or by prefix.")
@FILES
@click.option("--by", metavar="/N", help="Count within each prefix of this length, as /24; empty ones are left out.")
@with_options(*INPUT, AS_JSON)
def count(files: tuple[str, ...], by: str | None, as_json: bool, **given: str | None) -> None:
    """Print how many addresses each FILE holds, or, with --by, how many of one FILE lie in each prefix."""
    from liveness.cli.printing import print_document

    length = _prefix_length(by) if by is not None else None
    if length is not None and len(files) > 1:
        raise UsageError("--by counts within one FILE: unite several first, and count -")
    choices = choices_of(given)
    if length is not None:
        _count_by(choices.read(files[0]), length, as_json=as_json)
        return
    reading = choices.reading(files)
    counts = [(path, len(reading.addresses(path))) for path in files]
    reading.check()
    if as_json:
        print_document([{"file": path, "addresses": held} for path, held in counts])
        return
    for path, held in counts:
        click.echo(str(held) if len(files) == 1 else f"{held}\t{path}")


@command.command(short_help="Write FILE again in another format.")
@FILE
@click.argument("output_file", metavar="OUTPUT")
@with_options(*INPUT, *OUTPUT[1:])
def convert(file: str, **given: str | None) -> None:
    """Write FILE again as OUTPUT, in the format of its suffix or of --to; - is standard output."""
    choices = choices_of(given)
    choices.check_output()
    choices.write(choices.read(file))


def _combine(name: str, files: tuple[str, ...], given: dict[str, str | None]) -> None:
    """Write the result of an operation of `ipsets.algebra` on files, from left to right."""
    from liveness.ipsets import algebra

    operations: dict[str, Operation] = {
        "unite": algebra.unite,
        "intersect": algebra.intersect,
        "subtract": algebra.subtract,
        "symmetric_difference": algebra.symmetric_difference,
    }
    choices = choices_of(given)
    choices.check_output()
    reading = choices.reading(files)
    result = algebra.combined(operations[name], map(reading.addresses, files))
    reading.check()
    choices.write(result)


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
