"""The manifest's file: read, checked and written."""

from pathlib import Path

import msgspec
from msgspec import Struct

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.documents import decoded
from liveness.files.reading import MIB, read_bytes
from liveness.runs.kinds import CENSUS, check_kind
from liveness.runs.manifest import SCHEMA, Manifest
from liveness.runs.plausible import odd_numbers, problems_of
from liveness.space.addresses import shown
from liveness.version import __version__

CONFIG_BYTES = 16 * MIB
"""Most bytes of the config in a manifest, which may take 24 times as much memory."""


class _Preamble(Struct):
    """The field that manifests of every version have, and the config, whose shape is not known here."""

    schema: int
    config: msgspec.Raw = msgspec.Raw()


def load_manifest(path: Path) -> Manifest:
    """Read and validate a manifest; fields this version does not know are ignored.

    Raises LivenessError that names the file, the path inside it and what was expected there, or the newer schema;
    UsageError for the manifest of a survey or of a passive run.
    """
    try:
        content = read_bytes(path)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot read this manifest: {problem.strerror}") from problem
    return decode_manifest(content, path)


def decode_manifest(content: bytes, path: Path) -> Manifest:
    """Return what a manifest's content says; see `load_manifest`."""
    check_kind(content, path.parent, CENSUS)
    first = decoded(content, _Preamble, path, "not a JSON document")
    if first.schema != SCHEMA:
        relation = "newer" if first.schema > SCHEMA else "unknown"
        raise LivenessError(
            f"{path}: $.schema: {first.schema}: {relation} to liveness {__version__}, which reads schema {SCHEMA}:"
            " use the version that wrote this run, or a later one"
        )
    if len(first.config) > CONFIG_BYTES:
        raise LivenessError(f"{path}: $.config: {len(first.config):,} bytes: no config is larger than {CONFIG_BYTES:,}")
    manifest = decoded(content, Manifest, path, "not a JSON document")
    check_manifest(manifest, path)
    return manifest


def check_manifest(manifest: Manifest, path: Path, root: str = "$") -> None:
    """Raise LivenessError for values that no run can have; `root` is where in the file at `path` the manifest is."""
    tree = msgspec.to_builtins(manifest)
    del tree["config"]  # which `config.recorded` checks
    for place, value, expected in (*odd_numbers(tree), *problems_of(manifest)):
        raise LivenessError(f"{path}: {root}{place[1:]}: {shown(str(value))}: {expected}")


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest: a temporary file, fsync, rename. Raises LivenessError that names the file."""
    write_atomically(path, encode_manifest(manifest))
