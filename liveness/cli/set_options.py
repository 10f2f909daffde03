"""Options of commands that read and write IP sets, and the help on formats."""

from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.errors import count_of
from liveness.ipsets.formats.table import FORMATS, READABLE

if TYPE_CHECKING:
    from liveness.ipsets.choices import SetChoices

SKIPPED = "liveness.cli.sets.skipped"
"""The key under which click keeps the count of skipped IPv6 lines."""

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


def _count_ipv6(context: click.Context) -> None:
    """Count lines of IPv6, and print the count at the end."""
    from liveness.space.prefixes import Skipped

    skipped = context.meta[SKIPPED] = Skipped()
    context.call_on_close(lambda: log.info(f"{count_of(skipped.lines, 'line')} of IPv6 skipped", lead=""))


def choices_of(given: dict[str, str | None]) -> "SetChoices":
    """Return the options that a command was called with."""
    from liveness.ipsets.choices import SetChoices

    return SetChoices(**given, skipped=click.get_current_context().meta.get(SKIPPED))


class ExpressionCommand(click.Command):
    """A command whose argument may begin with a minus and a blank: ``- & a.txt`` is not an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments; standard input at the beginning of an expression is put in parentheses."""
        return super().parse_args(ctx, [f"(-){text[1:]}" if text[:2] in ("- ", "-\t") else text for text in args])


def formats_help() -> str:
    """Return the list of formats for the help text."""
    rows = [f"  {form.name:<10} {' '.join(form.suffixes):<24} {form.describes}" for form in READABLE.values()]
    return "\b\nFormats:\n" + "\n".join(rows)
