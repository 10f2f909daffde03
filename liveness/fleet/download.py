"""Fetching of stored runs: every file is compared with its digest, and a run is in place only if it is whole."""

import hashlib
from pathlib import Path, PurePosixPath

from msgspec import Struct

from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.fleet.job import Outcome
from liveness.fleet.layout import FILES
from liveness.fleet.store import Store
from liveness.fleet.upload import StoredFile, StoredFiles
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory


class Missing(Struct, frozen=True, kw_only=True):
    """A job without a stored run, and why."""

    job: str
    reason: str


def download(store: Store, job: str, result: Outcome, path: Path) -> RunDirectory:
    """Fetch the stored run of a job into a new directory; return it.

    Raises UsageError if the directory exists, and LivenessError for a file that is missing or is not what was stored;
    nothing is left then.
    """
    prefix = f"{job}/{result.place}"
    listed = store.document(f"{prefix}/{FILES}", StoredFiles)
    if listed is None or MANIFEST_FILE not in listed.files:
        raise LivenessError(f"{store.url}: {prefix}: not a whole run: its list of files is missing")
    if listed.files[MANIFEST_FILE].sha256 != result.manifest_sha256:
        raise LivenessError(f"{store.url}: {prefix}: the manifest is not that of the result")
    try:
        with Directory.make(path.parent) as above:
            try:
                above.make_directory(path.name, exist_ok=False).close()
            except FileExistsError:
                raise UsageError(f"{path}: exists already: give another directory with -o") from None
            try:
                for name, described in listed.files.items():  # the manifest is the last of them
                    _fetch(store, f"{prefix}/{name}", above, f"{path.name}/{checked(name)}", described)
            except BaseException:
                above.remove_tree(path.name)
                raise
    except OSError as problem:
        raise LivenessError(f"{path}: cannot write this run: {problem.strerror or problem}") from problem
    return RunDirectory(path, path.parent)


def checked(name: str) -> str:
    """Return the name of a file in a run. LivenessError if it leads elsewhere."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise LivenessError(f"{name!r}: not the name of a file of a run")
    return "/".join(parts)


def _fetch(store: Store, source: str, folder: Directory, name: str, described: StoredFile) -> None:
    """Fetch one file, and compare it with its size and digest."""
    digest, size = hashlib.sha256(), 0
    parent = name.rpartition("/")[0]
    folder.make_directory(parent).close()
    with folder.replaced(name) as file:
        for part in store.parts(source):
            size += len(part)
            if size > described.size:
                break
            digest.update(part)
            file.write(part)
        if (size, digest.hexdigest()) != (described.size, described.sha256):
            raise LivenessError(f"{store.url}: {source}: damaged: not the {described.size:,} bytes that were stored")
