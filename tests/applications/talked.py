"""A run that talked to TCP services: who sent what, in sets of a few addresses."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import UNSET
from pyroaring import BitMap

from liveness.config.model import from_document, to_record
from liveness.replies import Kind, ReplyKey, SetKey, roles_of
from liveness.runs.manifest import Manifest, ProbeCounts
from liveness.runs.rundir import RunDirectory

SETS: dict[tuple[str, Kind], set[int]] = {
    ("tcp/22", Kind.SYN_ACK): {1, 2, 3, 4},
    ("tcp/22", Kind.ANSWER): {1, 2},
    ("tcp/22", Kind.MUTE): {3},
    ("tcp/22", Kind.CLOSED): {4},
    ("tcp/80", Kind.SYN_ACK): {2, 5, 6, 7, 8},
    ("tcp/80", Kind.ZERO_WINDOW): {5},
    ("tcp/80", Kind.ACKED): {6},
    ("tcp/80", Kind.PAYLOAD): {7, 8},
    ("tcp/80", Kind.ANSWER): {2},
    ("dns", Kind.ANSWER): {1, 9},
    ("dns", Kind.PAYLOAD): {1, 7},
}


PROTOCOLS = {"tcp/22": {"ssh": 2}, "tcp/80": {"ssh": 1, "http": 1, "unknown": 1}}


def talked(folder: Path, applications: Sequence[str] = ("ssh", "http")) -> RunDirectory:
    """Write a complete run with these sets."""
    probes = ["tcp/22", "tcp/80", "dns"]
    targets = {"allow": ["10.0.0.0/24"]}
    config = from_document({"name": "talked", "targets": targets, "probes": probes, "applications": list(applications)})
    directory = RunDirectory.create(folder, "talked", "run")
    entries = [
        directory.write_set(SetKey(ReplyKey(probe, kind), role), BitMap(members))
        for (probe, kind), members in SETS.items()
        for role in roles_of(kind)
        if applications or not ReplyKey(probe, kind).of_talk
    ]
    directory.write_manifest(
        Manifest(
            name="talked",
            run_id="run",
            status="complete",
            seed=0,
            config=to_record(config),
            started="2026-11-27T00:00:00Z",
            finished="2026-11-27T00:01:00Z",
            targets=256,
            probes={probe: ProbeCounts(sent=[256, 256]) for probe in probes},
            sets=entries,
            protocols=PROTOCOLS if applications else UNSET,
        )
    )
    return directory
