"""Files below the folder of a run, opened without any link: another user may own the folder where root works."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from liveness.errors import LivenessError
from liveness.files.directory import Directory


@contextmanager
def opened(folder: Path) -> Iterator[Directory]:
    """Open a folder, which must be no link. LivenessError for it and for what its files refuse."""
    try:
        with Directory.open(folder.parent, folder.name) as found:
            yield found
    except OSError as error:
        raise LivenessError(f"{folder}: cannot work in this folder: {error.strerror or error}") from error


def remove_all(folder: Path, suffix: str = "") -> None:
    """Remove the files whose names end so."""
    with opened(folder) as found:
        for name in found.names():
            if name.endswith(suffix):
                found.remove(name)


@contextmanager
def appending(folder: Directory, name: str) -> Iterator[BinaryIO]:
    """Open a regular file to append to, which is made if it is missing. LivenessError names it if the disk refuses."""
    try:
        with os.fdopen(folder.append_to(name), "ab") as file:
            yield file
    except OSError as error:
        raise LivenessError(f"{folder.path / name}: cannot write: {error.strerror or error}") from error


@contextmanager
def reading(folder: Directory, name: str) -> Iterator[BinaryIO]:
    """Open a regular file to read. LivenessError names it if the disk refuses."""
    try:
        with os.fdopen(folder.open_file(name), "rb") as file:
            yield file
    except OSError as error:
        raise LivenessError(f"{folder.path / name}: cannot read: {error.strerror or error}") from error
