"""``liveness blocklist``: lists of opt-outs with date and reason, and their application to runs on disk."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.options import AS_JSON
from liveness.errors import LivenessError, count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liveness.config.list_choice import ListChoice
    from liveness.config.requests import Entry, Reason
    from liveness.optouts.applying import Applied

FILES = click.option(
    "-b", "--blocklist-file", "files", multiple=True, type=click.Path(path_type=Path), help="The list; may be repeated."
)
CONFIG = click.option(
    "-C", "--config", "config_file", type=click.Path(path_type=Path), help="Take the lists that this config blocks by."
)
WHO = click.option("--who", default="unknown", show_default=True, help="Who asked.")
WHY = click.option("--why", default="opt-out", show_default=True, help="What for, or how.")
DATE = click.option("--date", help="The day, e.g. 2026-11-22; today (UTC) if not given.")
PREFIXES = click.argument("prefixes", nargs=-1, required=True, metavar="PREFIX...")


@click.group("blocklist")
def command() -> None:
    """Keep the lists of those who opted out, and take them out of runs that are on disk.

    A list holds a request a line: a prefix, then "# date, who, why", as ZMap reads it. What is blocked is the union of
    the requests that were not withdrawn. Without -b and -C the list is blocklist.txt here. A scan that runs notices a
    changed list within 5 s and sends nothing more to what is blocked from then on.
    """


@command.command()
@PREFIXES
@FILES
@CONFIG
@WHO
@WHY
@DATE
@AS_JSON
def add(
    prefixes: tuple[str, ...],
    files: tuple[Path, ...],
    config_file: Path | None,
    who: str,
    why: str,
    date: str | None,
    as_json: bool,
) -> None:
    """Block each PREFIX (a.b.c.d/len, a-b or an address): append a dated line for each request.

    A request is recorded also where others block its space already: it stays when theirs are withdrawn. What the same
    person asked for before is not recorded twice. With several lists (-C) the first is added to.
    """
    from liveness.config.list_choice import ListChoice
    from liveness.config.requests import Reason, named_entries

    choice = ListChoice(files, config_file)
    _append(choice, named_entries(prefixes), Reason.of(who, why, date), as_json=as_json)


@command.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@FILES
@CONFIG
@WHO
@WHY
@DATE
@click.option("--skip-ipv6", is_flag=True, help="Leave lines of IPv6 out, and say how many there were.")
@AS_JSON
def import_(
    sources: tuple[str, ...],
    files: tuple[Path, ...],
    config_file: Path | None,
    who: str,
    why: str,
    date: str | None,
    skip_ipv6: bool,
    as_json: bool,
) -> None:
    """Add the requests of other lists: append those of each SOURCE (a file, - for standard input) that are new.

    Entries keep their comments; those without get date, who and why. All or nothing.
    """
    from liveness.config.blocklists import in_force, read_requests
    from liveness.config.list_choice import ListChoice
    from liveness.config.requests import Reason
    from liveness.space.prefixes import Skipped

    skipped = Skipped() if skip_ipv6 else None
    wanted = in_force([entry for source in sources for entry in read_requests(source, skipped)])
    if skipped is not None:
        log.info(f"{count_of(skipped.lines, 'line')} of IPv6 skipped", lead="")
    _append(ListChoice(files, config_file), wanted, Reason.of(who, why, date), as_json=as_json)


@command.command()
@PREFIXES
@FILES
@CONFIG
@click.option("--who", help="Whose request is withdrawn, where several people asked for the same prefix.")
@click.option("--why", default="no longer opted out", show_default=True, help="Why it is withdrawn.")
@DATE
@click.option("--all-inside", is_flag=True, help="Withdraw every request within PREFIX, or all of --who's.")
@AS_JSON
def remove(
    prefixes: tuple[str, ...],
    files: tuple[Path, ...],
    config_file: Path | None,
    who: str | None,
    why: str,
    date: str | None,
    all_inside: bool,
    as_json: bool,
) -> None:
    """Withdraw the request for exactly PREFIX: its line becomes a comment with the day and the reason.

    Requests of others stay in force, those within PREFIX too; they are listed. A running scan continues as if nothing
    had been withdrawn: a removal counts from the next run on.
    """
    from liveness.cli.printing import print_document
    from liveness.config.blocklists import covering, described, intervals_of, read_list, withdraw
    from liveness.config.list_choice import ListChoice
    from liveness.config.requests import UNKNOWN, Reason, named_entries

    reason = Reason.of(UNKNOWN if who is None else who, why, date)
    lists = ListChoice(files, config_file).paths()
    wanted = named_entries(prefixes)
    removed = withdraw(lists, wanted, reason, who=who, inside=all_inside)
    left = [entry for path in lists for entry in read_list(path)]
    if as_json:
        rows = [entry.document() for entry in removed]
        print_document({"removed": rows, "left": intervals_of(left).count})
        return
    for entry in removed:
        click.echo(f"{entry.place}: {entry.text} removed ({entry.who})")
    for entry in wanted:
        others = covering(left, entry.first, entry.last)
        if others:
            click.echo(f"{entry.text}: still blocked, whole or in part, by {described(others)}")


@command.command()
@PREFIXES
@FILES
@CONFIG
@AS_JSON
@click.pass_context
def check(
    context: click.Context, prefixes: tuple[str, ...], files: tuple[Path, ...], config_file: Path | None, as_json: bool
) -> None:
    """Say which file and line blocks each PREFIX. Exit code 0 if all of them are blocked whole, 1 if not."""
    from liveness.cli.printing import print_document
    from liveness.config.block_check import check_prefixes
    from liveness.config.list_choice import ListChoice
    from liveness.config.requests import named_entries

    entries = ListChoice(files, config_file).entries()
    checks = check_prefixes(named_entries(prefixes), entries)
    if as_json:
        print_document([checked.document() for checked in checks])
    else:
        for checked in checks:
            for line in checked.lines():
                click.echo(line)
    if not all(checked.is_whole for checked in checks):
        context.exit(1)


@command.command("list")
@FILES
@CONFIG
@click.option("--all", "withdrawn_too", is_flag=True, help="Print withdrawn requests too (--json always has them).")
@AS_JSON
def list_(files: tuple[Path, ...], config_file: Path | None, withdrawn_too: bool, as_json: bool) -> None:
    """Print every request with its place, its size, and who asked when and why."""
    from liveness.cli.printing import print_document
    from liveness.config.block_check import comment_of
    from liveness.config.blocklists import in_force, intervals_of
    from liveness.config.list_choice import ListChoice

    requests = ListChoice(files, config_file).requests()
    entries = in_force(requests)
    blocked = intervals_of(entries).count
    withdrawn = [request for request in requests if request.withdrawn is not None]
    if as_json:
        rows = {"entries": entries, "withdrawn": withdrawn}
        listed = {name: [request.document() for request in found] for name, found in rows.items()}
        print_document({"addresses": blocked, **listed})
        return
    for entry in requests if withdrawn_too else entries:
        ended = f"  (withdrawn {entry.withdrawn})" if entry.withdrawn is not None else ""
        click.echo(f"{entry.place}: {entry.text:<19} {entry.addresses:>13,}{comment_of(entry)}{ended}")
    gone = f", {len(withdrawn):,} withdrawn" if withdrawn else ""
    log.info(f"{count_of(len(entries), 'request')}{gone}; {count_of(blocked, 'address')}", lead="")


@command.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@FILES
@CONFIG
@AS_JSON
def apply(runs: tuple[Path, ...], files: tuple[Path, ...], config_file: Path | None, as_json: bool) -> None:
    """Remove what the lists block from each RUN: a run directory, or one above several censuses and surveys.

    Without -b and -C each run's own lists count, with their present content. The manifest keeps what was removed, when
    and by which lists; counts of messages stay as they were. Done twice it changes nothing. A run that a scan is at
    work on, or that is damaged, is left as it is and named; the others are done, and the exit code is 1.
    """
    from liveness.cli.printing import print_document
    from liveness.config.list_choice import ListChoice
    from liveness.optouts.applying import apply_lists

    choice = ListChoice(files, config_file)
    results = []
    for applied in apply_lists(runs, choice.paths() if choice.is_given else None):
        results.append(applied)
        if not as_json:
            _show_applied(applied)
    if as_json:
        print_document([applied.document() for applied in results])
    left = [applied for applied in results if applied.problem is not None]
    if left:
        raise LivenessError(
            f"{len(left)} of {count_of(len(results), 'run')} left as before, their opted-out data still in them:"
            " mend what is named above, then run this again"
        )


def _show_applied(applied: "Applied") -> None:
    """Print what was removed from a run, and say if its report still counts it."""
    from liveness.census.home import Home

    if applied.problem is not None:
        log.warning(str(applied.problem))
    for line in applied.lines():
        click.echo(line)
    run = applied.run
    if applied.changed and Home(run.parent).report(run.name).is_dir():
        log.info(f"{run}: its report still counts them: liveness census report {run}", lead="")


def _append(choice: "ListChoice", wanted: "Sequence[Entry]", reason: "Reason", *, as_json: bool) -> None:
    """Add requests to the first list, and print those that are new."""
    from liveness.cli.printing import print_document
    from liveness.config.blocklists import add as add_to

    path = choice.path_to_extend()
    new = add_to(path, wanted, reason)
    if as_json:
        rows = [{"entry": entry.text, "addresses": entry.addresses} for entry in new]
        print_document({"file": str(path), "added": rows, "known": len(wanted) - len(new)})
        return
    for entry in new:
        click.echo(f"{path}: {entry.text} added")
    if len(new) < len(wanted):
        click.echo(f"{path}: {len(wanted) - len(new):,} of {len(wanted):,} asked for already by the same person")
