"""Kinds of runs on disk: the manifest of a survey or of a passive run names its kind, that of a census does not."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from liveness.errors import UsageError, one_line
from liveness.files.reading import read_bytes
from liveness.space.addresses import shown

MANIFEST_FILE: Final = "manifest.json"
CENSUS: Final = "census"
SURVEY: Final = "survey"
PASSIVE: Final = "passive"
_NAMES: Final = {CENSUS: "a census", SURVEY: "a survey", PASSIVE: "a passive run"}
_READERS: Final = {CENSUS: "liveness analyze", SURVEY: "liveness survey analyze", PASSIVE: "liveness passive report"}


class _Kind(Struct):
    """The field of a manifest that names the kind of its run."""

    kind: str = CENSUS


def kind_in(content: bytes) -> str:
    """Return the kind that the content of a manifest names; census where there is none or the content is damaged."""
    try:
        return msgspec.json.decode(content, type=_Kind).kind
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return CENSUS


def kind_of(run: Path) -> str:
    """Return the kind of the run in a directory; census if its manifest cannot be read, which a reader reports."""
    try:
        return kind_in(read_bytes(run / MANIFEST_FILE))
    except OSError:
        return CENSUS


def check_kind(content: bytes, run: Path, wanted: str) -> None:
    """Raise UsageError for the content of a manifest of another kind; it names the command that reads such a run."""
    found = kind_in(content)
    if found != wanted:
        name = _NAMES.get(found, f"a run of the kind {shown(found)}")
        remedy = f": `{_READERS[found]} {run}` reads it" if found in _READERS else ""
        raise UsageError(one_line(f"{run}: {name}, not {_NAMES[wanted]}{remedy}"))


def check_directory(run: Path, wanted: str) -> None:
    """Raise UsageError for a directory that does not exist or has no manifest."""
    if (run / MANIFEST_FILE).is_file():
        return
    place = "a run directory" if wanted == CENSUS else f"the directory of {_NAMES[wanted]}"
    if not run.is_dir():
        raise UsageError(f"{run}: {'not a directory' if run.exists() else 'no such directory'}: give {place}")
    raise UsageError(f"{run}: not {place}: it has no {MANIFEST_FILE}")
