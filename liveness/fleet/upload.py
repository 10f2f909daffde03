"""Storing of a run: its files, their digests, and the manifest last, so that a run with a manifest is whole."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.fleet.layout import FILES
from liveness.fleet.store import Store
from liveness.planes.live import ROUNDS_FOLDER
from liveness.runs.rundir import CHECKPOINT_FILE, KEY_FILE, LOCK_FILE, MANIFEST_FILE, SEGMENTS, RunDirectory

LEFT_OUT: Final = frozenset({CHECKPOINT_FILE, KEY_FILE, LOCK_FILE, SEGMENTS, ROUNDS_FOLDER})
"""The key of a run does not leave its machine; the others are of no use elsewhere."""
PLACE: Final = re.compile(r"\d{4,}(\.\d+)?", re.ASCII)
"""The last part of the prefix of a stored run."""


class StoredFile(Struct, frozen=True, kw_only=True):
    """A file of a stored run: its size in bytes, and its SHA-256."""

    size: int
    sha256: str


class StoredFiles(Struct, frozen=True, kw_only=True):
    """All files of a stored run by their names in it."""

    files: dict[str, StoredFile]


@dataclass(slots=True)
class Upload:
    """Storing of one run below a prefix. After a failure `store` goes on where it stopped."""

    target: Store
    prefix: str
    _stored: dict[str, StoredFile] = field(default_factory=dict, init=False)

    def store(self, run: RunDirectory) -> str:
        """Store the run; return the SHA-256 of its manifest. Raises StoreError, and LivenessError for a file."""
        try:
            with run.files() as folder:
                names = list(_names(folder))
                for name in names:
                    if name != MANIFEST_FILE:
                        self._store(folder, name)
                kept = {name: self._stored[name] for name in names if name != MANIFEST_FILE}
                manifest = _described(folder, MANIFEST_FILE)
                self.target.put_document(f"{self.prefix}/{FILES}", StoredFiles(files=kept | {MANIFEST_FILE: manifest}))
                self.target.put_file(f"{self.prefix}/{MANIFEST_FILE}", folder, MANIFEST_FILE)
        except FileNotFoundError as problem:
            raise LivenessError(f"{run.path}: {problem.filename or 'a file'}: gone while it was stored") from problem
        return manifest.sha256

    def _store(self, folder: Directory, name: str) -> None:
        """Store a file, unless it is stored already as it is now."""
        described = _described(folder, name)
        if self._stored.get(name) == described:
            return
        self.target.put_file(f"{self.prefix}/{name}", folder, name)
        self._stored[name] = described


def _names(folder: Directory, below: str = "") -> Iterator[str]:
    """Yield the names of all files of a run that are stored; links and temporary files are none."""
    for name in folder.names(below):
        path = f"{below}/{name}" if below else name
        if name.startswith(".") or (not below and name in LEFT_OUT):
            continue
        if folder.is_directory(path):
            yield from _names(folder, path)
        elif folder.is_file(path):
            yield path


def _described(folder: Directory, name: str) -> StoredFile:
    with os.fdopen(folder.open_file(name), "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return StoredFile(size=os.fstat(stream.fileno()).st_size, sha256=digest)


def other_places(store: Store, job: str, kept: str) -> Iterator[str]:
    """Yield the names of what is stored of a job below other prefixes than `kept`."""
    for name in store.names(job):
        place, separator, _ = name.removeprefix(f"{job}/").partition("/")
        if separator and place != kept and PLACE.fullmatch(place):
            yield name


def remove_others(store: Store, job: str, kept: str) -> None:
    """Remove what is stored of a job below other prefixes than `kept`: by earlier owners, or before opt-outs."""
    for name in other_places(store, job, kept):
        store.remove(name)
