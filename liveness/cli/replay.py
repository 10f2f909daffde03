"""``liveness replay``: match captured packets again to make the sets of a run, and compare them."""

from contextlib import nullcontext
from logging import ERROR, INFO, WARNING
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.messages import quieten
from liveness.cli.streams import print_result
from liveness.errors import LivenessError, StoppedEarlyError, UsageError, count_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.status import Status

    from liveness.runs.manifest import Manifest
    from liveness.scan.receive.replay import Comparison, Replayed

SHOWN = 3
FOLDER = "replay"


@click.command("replay")
@click.argument("captures", nargs=-1, metavar="[CAPTURE]...", type=click.Path(path_type=Path))
@click.option(
    "--run",
    "run_dir",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The run whose packets they are: its manifest, key and targets are read.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Run directory to make; replay/NAME/RUN ID if not given."
)
@click.option("--check", is_flag=True, help="End with exit code 1 unless all sets and counters are those of the run.")
@click.option("--replies", is_flag=True, help="Also write the log of replies, as Parquet files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on standard error but errors.")
def command(
    captures: tuple[Path, ...],
    run_dir: Path,
    output: Path | None,
    *,
    check: bool,
    replies: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Match the packets of CAPTURES as the run did and write its sets again, byte for byte.

    A CAPTURE is a pcap or pcapng file, gzipped or not, a directory of them, or - for standard input; without any, the
    run's own packet log. It may come from another tool on another machine. Prints the directory of the new run. Exit
    code 5 if a capture is cut or damaged: what could be read of it is used.
    """
    from liveness.cli.printing import print_document
    from liveness.replylog.runlog import PACKETS
    from liveness.runs.rundir import RunDirectory
    from liveness.scan.receive.capture_ring import captures_in
    from liveness.scan.receive.replay import replay

    run = RunDirectory.open(run_dir)
    if not captures and not (run_dir / PACKETS).is_dir():
        raise UsageError(f"{run_dir}: this run keeps no packets: name a capture of them")
    manifest = run.read_manifest()
    paths = captures_in(captures or (run_dir / PACKETS,))
    place = output or _default_place(run_dir, manifest)
    if quiet:
        quieten(ERROR)
    with _status(quiet=quiet) as status:

        def show(packets: int) -> None:
            if status is not None:
                status.update(f"{packets:,} packets")

        done = replay(run, paths, place, "parquet" if replies else "none", show)
    for level, line in _summary(done):
        log.emit(level, line)
    if as_json:
        print_document(_document(done))
    else:
        print_result(str(done.directory.path))
    _leave(done, run_dir, check=check)


def _default_place(run_dir: Path, manifest: "Manifest") -> Path:
    """Return the default directory of a replay. UsageError for names in the manifest that are paths."""
    from liveness.runs.rundir import MANIFEST_FILE, is_run_id

    for field, name in (("name", manifest.name), ("run_id", manifest.run_id)):
        if not is_run_id(name):
            problem = f"$.{field}: {name!r}: cannot be the name of a directory: give --output"
            raise UsageError(f"{run_dir / MANIFEST_FILE}: {problem}")
    return Path(FOLDER) / manifest.name / manifest.run_id


def _status(*, quiet: bool) -> "AbstractContextManager[Status | None]":
    """Return a progress line for a terminal; other outputs have none."""
    from rich.console import Console

    console = Console(stderr=True)
    return nullcontext() if quiet or not console.is_terminal else console.status("reading", spinner="line")


def _summary(done: "Replayed") -> list[tuple[int, str]]:
    """Return the results of a replay, as messages with their levels."""
    record, manifest = done.manifest.replay, done.manifest
    if record is None:
        return []
    accepted = sum(sum(counts.values()) for counts in manifest.messages.values())
    rejected = sum(manifest.rejected.values())
    matched = f"{accepted:,} accepted, {rejected:,} rejected; {len(manifest.sets)} sets"
    lines = [
        (INFO, f"{record.packets:,} packets, {record.passed:,} of them let in by the filter of the scan: {matched}")
    ]
    if not record.passed and not done.unread:
        lines.append((INFO, "no packet can be a reply to this run: is it a capture of it?"))
    if done.cut_packets:
        cut = f"{count_of(done.cut_packets, 'packet')} cut by the snap length of the capture: what is missing"
        lines.append((WARNING, f"{cut} cannot be matched (tcpdump -s 0 keeps packets whole)"))
    lines += [(INFO, f"{count_of(number, 'packet')} within {name}") for name, number in done.encapsulated.items()]
    lines += [(WARNING, line) for line in (*done.unread, *manifest.log.problems)]
    return [*lines, (INFO, _verdict(done.comparison))]


def _verdict(comparison: "Comparison | None") -> str:
    if comparison is None:
        return "the run has no sets to compare with"
    if comparison.equal:
        return f"identical to the run: {comparison.same} sets, and all counts"
    parts = []
    for what in ("different", "missing", "extra"):
        files: list[str] = getattr(comparison, what)
        if files:
            shown = ", ".join(files[:SHOWN]) + (" …" if len(files) > SHOWN else "")
            parts.append(f"{len(files)} {what} ({shown})")
    if comparison.counts:
        parts.append(f"other counts of {', '.join(comparison.counts)}")
    return f"differs from the run: {comparison.same} sets the same, {', '.join(parts)}"


def _document(done: "Replayed") -> dict[str, object]:
    import dataclasses

    import msgspec

    comparison = done.comparison
    return {
        "schema": 1,
        "path": str(done.directory.path),
        "run": done.manifest.run,
        "replay": msgspec.to_builtins(done.manifest.replay),
        "sets": len(done.manifest.sets),
        "cut_packets": done.cut_packets,
        "encapsulated": done.encapsulated,
        "unread": done.unread,
        "identical": None if comparison is None else comparison.equal,
        "comparison": None if comparison is None else dataclasses.asdict(comparison),
    }


def _leave(done: "Replayed", run_dir: Path, *, check: bool) -> None:
    """Exit with the exit code of the result; return if the replay is complete."""
    if done.interruption.signal_number is not None:
        raise SystemExit(128 + done.interruption.signal_number)
    if check and done.comparison is None:
        raise UsageError(f"{run_dir}: no sets to compare with: this run has not ended")
    if check and done.comparison is not None and not done.comparison.equal:
        damage = "".join(f"; {line}" for line in done.unread)
        raise LivenessError(f"{run_dir}: {_verdict(done.comparison)}{damage}")
    if done.unread:
        raise StoppedEarlyError("; ".join(done.unread))
