"""``liveness replay``: match captured packets again to make the sets of a run, and compare them."""

from contextlib import contextmanager
from logging import ERROR
from pathlib import Path
from typing import TYPE_CHECKING

import click

from liveness import log
from liveness.cli.messages import quieten
from liveness.cli.options import AS_JSON
from liveness.cli.streams import print_result
from liveness.errors import LivenessError, StoppedEarlyError, UsageError
from liveness.system.exit_codes import exit_code_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status

    from liveness.runs.manifest import Manifest
    from liveness.scan.receive.replay import Replayed

FOLDER = "replay"
READING = "reading"


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
@AS_JSON
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
    from liveness.report.views.replay import replay_document, replay_messages
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
    for level, line in replay_messages(done):
        log.emit(level, line)
    if as_json:
        print_document(replay_document(done))
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


@contextmanager
def _status(*, quiet: bool) -> "Iterator[Status | None]":
    """Return a progress line for a terminal, also of kernels that are compiled meanwhile; other outputs have none."""
    from rich.console import Console

    from liveness.compiling.display import shown_on

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    with console.status(READING, spinner="line") as status, shown_on(lambda text: status.update(text or READING)):
        yield status


def _leave(done: "Replayed", run_dir: Path, *, check: bool) -> None:
    """Exit with the exit code of the result; return if the replay is complete."""
    from liveness.report.views.replay import replay_verdict

    if done.interruption.signal_number is not None:
        raise SystemExit(exit_code_of(done.interruption.signal_number))
    if check and done.comparison is None:
        raise UsageError(f"{run_dir}: no sets to compare with: this run has not ended")
    if check and done.comparison is not None and not done.comparison.equal:
        damage = "".join(f"; {line}" for line in done.unread)
        raise LivenessError(f"{run_dir}: {replay_verdict(done.comparison)}{damage}")
    if done.unread:
        raise StoppedEarlyError("; ".join(done.unread))
