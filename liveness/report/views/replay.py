"""What a replay found: messages with their levels, a verdict on the comparison with the run, and a document."""

from dataclasses import asdict
from logging import INFO, WARNING
from typing import Final

import msgspec

from liveness.errors import count_of
from liveness.scan.receive.replay import Comparison, Replayed

SHOWN: Final = 3
"""The number of sets that a verdict names."""


def replay_messages(done: Replayed) -> list[tuple[int, str]]:
    """Return the results of a replay, as messages with their levels."""
    record, manifest = done.manifest.replay, done.manifest
    if record is None:
        return []
    accepted = sum(sum(counts.values()) for counts in manifest.messages.values())
    rejected = sum(manifest.rejected.values())
    matched = f"{accepted:,} accepted, {rejected:,} rejected; {len(manifest.sets)} sets"
    lines = [
        (INFO, f"{record.packets:,} packets, {record.passed:,} of them let in by the filter of the scan: {matched}")
    ]
    if not record.passed and not done.unread:
        lines.append((INFO, "no packet can be a reply to this run: is it a capture of it?"))
    if done.cut_packets:
        cut = f"{count_of(done.cut_packets, 'packet')} cut by the snap length of the capture: what is missing"
        lines.append((WARNING, f"{cut} cannot be matched (tcpdump -s 0 keeps packets whole)"))
    lines += [(INFO, f"{count_of(number, 'packet')} within {name}") for name, number in done.encapsulated.items()]
    lines += [(WARNING, line) for line in (*done.unread, *manifest.log.problems)]
    return [*lines, (INFO, replay_verdict(done.comparison))]


def replay_verdict(comparison: Comparison | None) -> str:
    """Return how a replay compares with the run."""
    if comparison is None:
        return "the run has no sets to compare with"
    if comparison.equal:
        return f"identical to the run: {comparison.same} sets, and all counts"
    parts = []
    for what in ("different", "missing", "extra"):
        files: list[str] = getattr(comparison, what)
        if files:
            shown = ", ".join(files[:SHOWN]) + (" …" if len(files) > SHOWN else "")
            parts.append(f"{len(files)} {what} ({shown})")
    if comparison.counts:
        parts.append(f"other counts of {', '.join(comparison.counts)}")
    return f"differs from the run: {comparison.same} sets the same, {', '.join(parts)}"


def replay_document(done: Replayed) -> dict[str, object]:
    """Return the results of a replay as a JSON document."""
    comparison = done.comparison
    return {
        "schema": 1,
        "path": str(done.directory.path),
        "run": done.manifest.run,
        "replay": msgspec.to_builtins(done.manifest.replay),
        "sets": len(done.manifest.sets),
        "cut_packets": done.cut_packets,
        "encapsulated": done.encapsulated,
        "unread": done.unread,
        "identical": None if comparison is None else comparison.equal,
        "comparison": None if comparison is None else asdict(comparison),
    }
