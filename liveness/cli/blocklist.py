"""``liveness blocklist``: lists of opt-outs with date and reason, and their application to runs on disk."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from liveness import log
from liveness.errors import LivenessError, UsageError, count_of, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liveness.config.requests import Entry, Reason
    from liveness.runs.optout_record import Application
    from liveness.runs.rundir import RunDirectory

DEFAULT_LIST = "blocklist.txt"

FILES = click.option(
    "-b", "--blocklist-file", "files", multiple=True, type=click.Path(path_type=Path), help="The list; may be repeated."
)
CONFIG = click.option(
    "-C", "--config", "config_file", type=click.Path(path_type=Path), help="Take the lists that this config blocks by."
)
WHO = click.option("--who", default="unknown", show_default=True, help="Who asked.")
WHY = click.option("--why", default="opt-out", show_default=True, help="What for, or how.")
DATE = click.option("--date", help="The day, e.g. 2026-11-22; today (UTC) if not given.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
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
    from liveness.config.requests import Reason

    path = _lists(files, config_file, new=True)[0]
    _append(path, _wanted(prefixes), Reason.of(who, why, date), as_json=as_json)


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
    from liveness.config.requests import Reason
    from liveness.space.prefixes import Skipped

    path = _lists(files, config_file, new=True)[0]
    skipped = Skipped() if skip_ipv6 else None
    wanted = in_force([entry for source in sources for entry in read_requests(source, skipped)])
    if skipped is not None:
        log.info(f"{count_of(skipped.lines, 'line')} of IPv6 skipped", lead="")
    _append(path, wanted, Reason.of(who, why, date), as_json=as_json)


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
    from liveness.config.blocklists import intervals_of, read_list, withdraw
    from liveness.config.requests import UNKNOWN, Reason

    reason = Reason.of(UNKNOWN if who is None else who, why, date)
    lists = _lists(files, config_file)
    wanted = _wanted(prefixes)
    removed = withdraw(lists, wanted, reason, who=who, inside=all_inside)
    left = [entry for path in lists for entry in read_list(path)]
    if as_json:
        blocked = intervals_of(left).count
        click.echo(json.dumps({"removed": [_row(entry) for entry in removed], "left": blocked}, indent=1))
        return
    for entry in removed:
        click.echo(f"{entry.place}: {entry.text} removed ({entry.who})")
    _show_still_blocked(wanted, left)


def _show_still_blocked(wanted: "Sequence[Entry]", left: "Sequence[Entry]") -> None:
    from liveness.config.blocklists import covering, described

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
    from liveness.config.blocklists import covering, intervals_of
    from liveness.space.special import special_prefix

    entries = _entries(files, config_file)
    blocked = intervals_of(entries)
    rows: list[dict[str, Any]] = []
    for wanted in _wanted(prefixes):
        bounds = blocked.rank([wanted.first, wanted.last + 1])
        special = special_prefix(wanted.first)
        rows.append(
            {
                "prefix": wanted.text,
                "addresses": wanted.addresses,
                "blocked": int(bounds[1] - bounds[0]),
                "special_purpose": None if special is None else str(special.prefix),
                "by": [_row(entry) for entry in covering(entries, wanted.first, wanted.last)],
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        for row in rows:
            _show_check(row)
    if any(row["blocked"] < row["addresses"] for row in rows):
        context.exit(1)


def _show_check(row: dict[str, Any]) -> None:
    special = f"; special-purpose ({row['special_purpose']}), never probed" if row["special_purpose"] else ""
    if not row["by"]:
        click.echo(f"{row['prefix']}: not blocked{special}")
        return
    whole = row["blocked"] == row["addresses"]
    part = "blocked" if whole else f"blocked in part, {row['blocked']:,} of {row['addresses']:,} addresses"
    click.echo(f"{row['prefix']}: {part}{special}")
    for entry in row["by"]:
        place = f"{entry['file']}:{entry['line']}" if entry["line"] else entry["file"]
        click.echo(f"  {place}: {entry['entry']}{_comment(entry)}")


def _comment(row: dict[str, Any]) -> str:
    return f"  # {one_line(row['comment'])}" if row["comment"] else ""


@command.command("list")
@FILES
@CONFIG
@click.option("--all", "withdrawn_too", is_flag=True, help="Print withdrawn requests too (--json always has them).")
@AS_JSON
def list_(files: tuple[Path, ...], config_file: Path | None, withdrawn_too: bool, as_json: bool) -> None:
    """Print every request with its place, its size, and who asked when and why."""
    from liveness.config.blocklists import in_force, intervals_of

    requests = _requests(files, config_file)
    entries = in_force(requests)
    withdrawn = [request for request in requests if request.withdrawn is not None]
    if as_json:
        document = {
            "addresses": intervals_of(entries).count,
            "entries": [_row(entry) for entry in entries],
            "withdrawn": [_row(entry) for entry in withdrawn],
        }
        click.echo(json.dumps(document, indent=1))
        return
    for entry in requests if withdrawn_too else entries:
        ended = f"  (withdrawn {entry.withdrawn})" if entry.withdrawn is not None else ""
        click.echo(f"{entry.place}: {entry.text:<19} {entry.addresses:>13,}{_comment(_row(entry))}{ended}")
    gone = f", {len(withdrawn):,} withdrawn" if withdrawn else ""
    log.info(f"{count_of(len(entries), 'request')}{gone}; {count_of(intervals_of(entries).count, 'address')}", lead="")


@command.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@FILES
@CONFIG
@AS_JSON
def apply(runs: tuple[Path, ...], files: tuple[Path, ...], config_file: Path | None, as_json: bool) -> None:
    """Remove what the lists block from the sets and logs of each RUN (a run directory, or a directory above several).

    Without -b and -C each run's own lists count, as they stand today. The manifest keeps what was removed, when and by
    which lists; counts of messages stay as they were. Done twice it changes nothing. A run that a scan is at work on,
    or that is damaged, is left as it is and named; the others are done, and the exit code is 1.
    """
    from liveness.config.load import list_files, read_entries
    from liveness.optouts.redaction import redact_run
    from liveness.runs.finding import find_runs
    from liveness.space.prefixes import Skipped

    given = _lists(files, config_file) if files or config_file is not None else None
    document: list[dict[str, Any]] = []
    left: list[LivenessError] = []
    if given is not None:
        read_entries([str(path) for path in given], Skipped())  # an error in a list affects every run
    found = [directory for run in runs for directory in find_runs(run)]
    for directory in found:
        try:
            entries = _blocked_by(directory) if given is None else [str(path) for path in given]
            application = redact_run(directory, read_entries(entries, Skipped()), list_files(entries))
        except LivenessError as error:
            if len(found) == 1:
                raise
            left.append(error)
            document.append({"run": str(directory.path), "problem": str(error)})
            if not as_json:
                log.warning(str(error))
            continue
        document.append({"run": str(directory.path), **_application(application)})
        if not as_json:
            _show_application(directory.path, application)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    if left:
        raise LivenessError(
            f"{len(left)} of {count_of(len(found), 'run')} left as before, their opted-out data still in them:"
            " mend what is named above, then run this again"
        )


def _blocked_by(directory: "RunDirectory") -> "Sequence[str]":
    """Return the blocklists that a run's config names. Raises UsageError if there are none."""
    from liveness.config.recorded import recorded_blocklists
    from liveness.runs.rundir import MANIFEST_FILE

    recorded = recorded_blocklists(directory.read_manifest().config, directory.path / MANIFEST_FILE)
    entries = [entry for entry in recorded if entry != "-"]
    if not entries:
        raise UsageError(f"{directory.path}: its config names no blocklist: give -b FILE")
    return entries


def _application(application: "Application") -> dict[str, Any]:
    import msgspec

    built: dict[str, Any] = msgspec.to_builtins(application)
    return built


def _show_application(run: Path, application: "Application") -> None:
    from liveness.census.home import Home

    changes = [*application.sets, *application.segments, *application.logs]
    for change in changes:
        click.echo(f"{run}: {change.file}: {change.before:,} -> {change.after:,}")
    if application.targets:
        click.echo(f"{run}: {count_of(application.targets, 'target')} left out of every number")
    if (changes or application.targets) and Home(run.parent).report(run.name).is_dir():
        log.info(f"{run}: its report still counts them: liveness census report {run}", lead="")
    if not changes and not application.targets:
        click.echo(f"{run}: nothing of {application.blocked:,} blocked addresses is in it")


def _append(path: Path, wanted: "Sequence[Entry]", reason: "Reason", *, as_json: bool) -> None:
    from liveness.config.blocklists import add as add_to

    new = add_to(path, wanted, reason)
    if as_json:
        rows = [{"entry": entry.text, "addresses": entry.addresses} for entry in new]
        click.echo(json.dumps({"file": str(path), "added": rows, "known": len(wanted) - len(new)}, indent=1))
        return
    for entry in new:
        click.echo(f"{path}: {entry.text} added")
    if len(new) < len(wanted):
        click.echo(f"{path}: {len(wanted) - len(new):,} of {len(wanted):,} asked for already by the same person")


def _wanted(prefixes: "Sequence[str]") -> "list[Entry]":
    """Return arguments as entries without a place."""
    from liveness.config.requests import Entry
    from liveness.space.addresses import parse_entry

    wanted = []
    for text in prefixes:
        try:
            first, last = parse_entry(text)
        except ValueError as error:
            raise UsageError(str(error)) from None
        wanted.append(Entry("command line", 0, text.strip(), first, last, ""))
    return wanted


def _entries(files: tuple[Path, ...], config_file: Path | None) -> "list[Entry]":
    """Return the requests of all lists that are in force."""
    from liveness.config.blocklists import in_force

    return in_force(_requests(files, config_file))


def _requests(files: tuple[Path, ...], config_file: Path | None) -> "list[Entry]":
    """Return all requests of all lists; those in the config itself have its path as their place."""
    from liveness.config.blocklists import read_requests
    from liveness.config.load import load_config
    from liveness.config.requests import Entry
    from liveness.space.addresses import parse_entry
    from liveness.space.prefixes import Skipped

    if files or config_file is None:
        return [entry for path in _lists(files, config_file) for entry in read_requests(path, Skipped())]
    found: list[Entry] = []
    for index, text in enumerate(load_config(config_file).targets.block):
        try:
            first, last = parse_entry(text)
        except ValueError:
            found += read_requests(text, Skipped())
        else:
            found.append(Entry(f"{config_file}: $.targets.block[{index}]", 0, text, first, last, ""))
    return found


def _lists(files: tuple[Path, ...], config_file: Path | None, *, new: bool = False) -> list[Path]:
    """Return the lists of a command; UsageError if there are none. With `new` the list need not exist yet."""
    from liveness.config.blocklists import begin
    from liveness.config.load import first_list_of, list_files, load_config

    if files:
        return list(files)
    if config_file is not None:
        named = first_list_of(config_file) if new else None
        if named is not None:
            begin(named)
        lists = list_files(load_config(config_file).targets.block)
        if not lists:
            raise UsageError(
                f"{config_file}: $.targets.block: names no blocklist file: write"
                f" block: [{DEFAULT_LIST}] there, or give -b FILE"
            )
        return lists
    here = Path(DEFAULT_LIST)
    if not here.exists() and not new:
        raise UsageError(f"no {DEFAULT_LIST} here: give -b FILE or -C CONFIG")
    return [here]


def _row(entry: "Entry") -> dict[str, Any]:
    reason = entry.reason
    return {
        "file": entry.file,
        "line": entry.line,
        "entry": entry.text,
        "addresses": entry.addresses,
        "date": None if reason is None else reason.date,
        "who": None if reason is None else reason.who,
        "why": None if reason is None else reason.why,
        "comment": entry.comment,
        "withdrawn": None
        if entry.withdrawn is None
        else {"date": entry.withdrawn.date, "who": entry.withdrawn.who, "why": entry.withdrawn.why},
    }
