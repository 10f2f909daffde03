"""The local addresses of a run with its sets, for the map of its report."""

from pathlib import Path

from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.files.reading import read_below
from liveness.ipsets.roaring import SetDigest, parse_roaring
from liveness.passive.config import recorded_config
from liveness.passive.manifest import load_manifest
from liveness.passive.sets import file_of
from liveness.report.passive.space import LocalSpace
from liveness.runs.rundir import MANIFEST_FILE

SET_BYTES = 1 << 30


def load_local_space(run: Path) -> LocalSpace | None:
    """Return the local space of a run, None if it has no sets yet.

    LivenessError that names the file if a set is damaged or missing.
    """
    manifest = load_manifest(run)
    if not manifest.sets:
        return None
    config = recorded_config(manifest.config, run / MANIFEST_FILE)
    digests = {entry.kind: SetDigest(entry.cardinality, entry.sha256) for entry in manifest.sets}
    found: dict[str, BitMap] = {}
    with Directory.open(run) as folder:
        for kind in ("two-way", "one-way", "grey"):
            if kind not in digests:  # sets without members are left out
                found[kind] = BitMap()
                continue
            file = file_of(kind)
            try:
                content = read_below(folder, file, SET_BYTES)
            except OSError as error:
                raise LivenessError(f"{run / file}: cannot read this set: {error.strerror or error}") from error
            found[kind] = parse_roaring(content, run / file, digests[kind])
    return LocalSpace(config.local_space, found["two-way"], found["one-way"], found["grey"])
