"""Runs below a directory, wherever they lie."""

import os
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path

from liveness.errors import UsageError
from liveness.runs.kinds import CENSUS, MANIFEST_FILE, kind_of
from liveness.runs.rundir import RunDirectory


def find_runs(path: Path, kinds: Collection[str] = (CENSUS,)) -> list[RunDirectory]:
    """Return the run directory `path`, or every run of some kinds at any depth below; UsageError if there is none."""
    if not path.is_dir():
        raise UsageError(f"{path}: {'not a directory' if path.exists() else 'no such directory'}: give a run directory")
    runs = [
        RunDirectory(folder)
        for folder, files in folders_below(path)
        if MANIFEST_FILE in files and (folder == path or kind_of(folder) in kinds)
    ]
    if not runs:
        raise UsageError(f"{path}: no run here or below: the directory of a census has a {MANIFEST_FILE}")
    return sorted(runs, key=lambda run: run.path)


def folders_below(path: Path) -> Iterator[tuple[Path, frozenset[str]]]:
    """Yield a folder and every one below it, with the names of the files in each; nothing below a run directory.

    Symbolic links are followed, each folder comes once, under its own path if that lies below too. Raises UsageError
    that names a folder which cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    folders, links = deque([path]), deque[Path]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as problem:
            raise UsageError(f"{folder}: cannot look for runs here: {problem.strerror}") from problem
        files = frozenset(entry.name for entry in found if entry.is_file())
        yield folder, files
        if MANIFEST_FILE not in files:  # a run holds no runs
            for entry in found:
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(folder / entry.name)
