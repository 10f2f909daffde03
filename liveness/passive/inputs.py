"""Inputs of a run: the flow files that files, folders and globs name, read one at a time into partitions."""

import glob
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from liveness.errors import UsageError, count_of
from liveness.flows.formats import Options, read_all, recognise
from liveness.flows.record import encodable
from liveness.passive.config import Config
from liveness.passive.partitions import InputRecord, Partitions

SETTLED_NS: Final = 2 * 10**9
"""A file that was written to within this time may still grow: it is not read yet."""


def flow_files(entries: Sequence[str], *, waiting: bool = False) -> list[Path]:
    """Return the files that inputs name: a file itself, the flow files in a folder, those that a glob matches.

    UsageError for an input that names nothing, unless `waiting` for what will come. In a folder, what is no flow file
    is passed over, and so are names that begin with a dot.
    """
    found: dict[Path, None] = {}
    for entry in entries:
        path = Path(entry)
        if path.is_dir():
            files = [file for file in sorted(path.iterdir()) if file.is_file() and _is_flows(file)]
        elif path.is_file():
            files = [path]
        else:
            files = [Path(name) for name in sorted(glob.glob(entry)) if Path(name).is_file()]  # noqa: PTH207 - absolute ones
        if not files and not waiting:
            what = "no flow file in this folder" if path.is_dir() else "no such file, folder or glob with a match"
            raise UsageError(f"{entry}: {what}: name the inputs in the config or on the command line")
        found.update(dict.fromkeys(files))
    return list(found)


def _is_flows(path: Path) -> bool:
    if path.name.startswith(".") or path.suffix in (".json", ".spool"):  # a collector still writes its spool
        return False
    try:
        recognise(str(path))
    except UsageError:
        return False
    return True


def check_named(entries: Sequence[str]) -> None:
    """Refuse a run without inputs, or with one whose name no manifest can hold. UsageError."""
    if not entries:
        raise UsageError("no input: name files or folders of flows in the config or on the command line")
    for entry in entries:
        if encodable(entry) != entry:
            raise UsageError(f"{entry}: this name is no UTF-8: name its folder or a glob, or rename it")


def required_files(entries: Sequence[str]) -> list[Path]:
    """Return the flow files of a run that does not follow. UsageError if there are none."""
    check_named(entries)
    return flow_files(entries)


@dataclass(slots=True)
class Inputs:
    """The inputs of one run, which are read into `partitions`; `note` is called with a line about each."""

    config: Config
    partitions: Partitions
    note: Callable[[str], None]
    _changed: set[Path] = field(default_factory=set)
    """Files that have changed since they were read, and were reported."""
    _sizes: dict[Path, int] = field(default_factory=dict)
    """Sizes of the files that were not read when `steady` was last called."""

    def steady(self, entries: Sequence[str]) -> list[Path]:
        """Return the files to read now of a run that follows: those that have stopped growing."""
        found = self.unread(flow_files(entries, waiting=True))
        before_ns = time.time_ns() - SETTLED_NS
        files = [
            file
            for file, status in found.items()
            if self._sizes.get(file) == status.st_size and status.st_mtime_ns <= before_ns
        ]
        self._sizes = {file: status.st_size for file, status in found.items()}
        return files

    def unread(self, files: Sequence[Path]) -> dict[Path, os.stat_result]:
        """Return the files that the journal does not name as read, with their status.

        A file that has changed since it was read is left out with a warning: its records would count twice.
        """
        read = {record.path: (record.bytes, record.modified_ns) for record in self.partitions.journal.inputs}
        found = {}
        for file in files:
            try:
                status = file.stat()
            except FileNotFoundError:  # rotated away since it was listed
                continue
            before = read.get(encodable(str(file)))
            if before is None:
                found[file] = status
            elif before != (status.st_size, status.st_mtime_ns) and file not in self._changed:
                self._changed.add(file)
                self.note(f"{file}: has changed since it was read: left out, because its records would count twice")
        return found

    def read(self, file: Path) -> None:
        """Read one input whole."""
        status = file.stat()
        before = int(self.partitions.gates.counts.sum())
        options = Options(tuple(self.config.export_ports), self.config.columns)
        for flows in read_all([str(file)], None, self.partitions.notes, options):
            self.partitions.take(flows)
        count = int(self.partitions.gates.counts.sum()) - before
        self.partitions.commit(
            InputRecord(path=encodable(str(file)), bytes=status.st_size, modified_ns=status.st_mtime_ns, records=count)
        )
        self.note(f"{file}: {count_of(count, 'record')}")

    def read_or_skip(self, file: Path) -> None:
        """Read one input of a run that follows; one that is gone, or no flow file after all, does not end it."""
        try:
            status = file.stat()
            self.read(file)
        except FileNotFoundError:
            self.note(f"{file}: gone before it was read")
        except UsageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                self.note(f"{file}: gone before it was read")
                return
            self.note(f"{error}: left out")
            self.partitions.commit(
                InputRecord(path=encodable(str(file)), bytes=status.st_size, modified_ns=status.st_mtime_ns, records=0)
            )
