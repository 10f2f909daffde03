"""Sets of local addresses by what was seen of them, which a passive run leaves like any other run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from liveness.files.atomic import write_atomically
from liveness.ipsets.roaring import from_numpy, serialized
from liveness.passive.locals import SEEN_MEASURED, SEEN_ONE_WAY_IN, SEEN_SENDING, SEEN_TWO_WAY, Locals
from liveness.passive.manifest import SetRecord
from liveness.space.intervals import Intervals

SETS: Final = (
    ("two-way", SEEN_TWO_WAY, 0),
    ("one-way", SEEN_ONE_WAY_IN, SEEN_TWO_WAY),
    ("grey", SEEN_ONE_WAY_IN, SEEN_SENDING | SEEN_MEASURED),
)
"""Sets of local addresses: with two-way flows; with inbound one-way flows and no two-way ones; those with inbound
one-way flows that sent nothing, and from which no census or survey had a reply."""


def write_sets(path: Path, local: Locals) -> list[SetRecord]:
    """Write the sets that have members into the run at `path`; return their entries of the manifest."""
    return list(_written(path, local))


def file_of(kind: str) -> str:
    """Return the name of the file of a set, below the run."""
    return f"sets/passive.{kind}.source.roaring"


def seen_counts(local: Locals, inside: Intervals) -> dict[str, int]:
    """Return how many local addresses there are, and how many each set has."""
    found = {kind.replace("-", "_"): len(local.addresses(seen, unseen)) for kind, seen, unseen in SETS}
    return {"inside": int(inside.count), **found}


def _written(path: Path, local: Locals) -> Iterator[SetRecord]:
    for kind, seen, unseen in SETS:
        members = from_numpy(local.addresses(seen, unseen))
        if not members:
            continue
        content, digest = serialized(members)
        file = file_of(kind)
        write_atomically(path / file, content)
        yield SetRecord(
            probe="passive", kind=kind, role="source", file=file, cardinality=digest.cardinality, sha256=digest.sha256
        )
