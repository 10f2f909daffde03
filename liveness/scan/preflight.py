"""Checks of what would stop a scan at its start, made without privileges, packets or lasting files."""

import os
import shutil
import tempfile
from pathlib import Path

from liveness.config.model import Config, Delivery
from liveness.errors import UsageError
from liveness.net.links import find_link, usable
from liveness.net.path.finding import AUTO
from liveness.net.path.netlink import Netlink
from liveness.net.path.sources import check_sources
from liveness.net.receiving import check_capture
from liveness.runs.rundir import check_names
from liveness.scan.privilege_drop import decide


def check_start(config: Config, run_id: str | None = None, *, host: bool = True) -> None:
    """Raise the errors of the start of a scan about output, run id, user, interface and source addresses.

    With `host` False, checks that must be made on the host, or in the lab, where the scan will run are left out.
    """
    check_names(config.name, run_id)
    _check_place(Path(config.output), config.name, run_id)
    if not host:
        return
    decide(config, Path(config.output) / config.name / "run")
    if config.network.interface != AUTO:
        check_capture(usable(find_link(config.network.interface)), config.receive.capture)
    if config.network.sources:
        netlink = Netlink()
        try:
            check_sources(netlink, config.network.sources, foreign_sources=config.network.foreign_sources)
        finally:
            netlink.close()


def check_notify(notify: Delivery, origin: str) -> None:
    """Raise UsageError if the command of `notify` is not a program on this machine. `origin` names the config."""
    words = notify.words
    if words and shutil.which(words[0]) is None:
        raise UsageError(
            f"{origin}: $.notify.command: {words[0]!r}: no such program, or none that may be run: install it, or give"
            " its whole path"
        )


def _check_place(output: Path, name: str, run_id: str | None) -> None:
    """Check that a run directory can be made, by a trial in the deepest directory of its path that exists."""
    path = output / name / (run_id or "run")
    if run_id is not None and os.path.lexists(path):
        raise UsageError(f"{path}: this run exists already: give another run id")
    place = next(above for above in path.absolute().parents if os.path.lexists(above))
    try:
        Path(tempfile.mkdtemp(prefix=".liveness-", dir=place)).rmdir()
    except NotADirectoryError:
        raise UsageError(f"{path}: cannot make a run directory here: a file is in the way: {place}") from None
    except OSError as problem:
        raise UsageError(f"{path}: cannot make this run directory: {problem.strerror}: {place}") from problem
