"""Inputs of a run: files, folders and globs, as a list of flow files in order of name."""

import glob
from collections.abc import Sequence
from pathlib import Path

from liveness.errors import UsageError
from liveness.flows.formats import recognise


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
