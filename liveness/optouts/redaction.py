"""Redaction: removes everything about opted-out addresses from the sets, segments and logs of a run on disk.

New files are written to a stage (`stage.py`) and read back; an opted-out address in one of them is an error. Only
then the stage is decided, and its files are put in place.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from pyroaring import BitMap

from liveness.clock import utc_now
from liveness.errors import LivenessError
from liveness.files.reading import MIB, read_bytes
from liveness.ipsets.roaring import read_roaring, write_roaring
from liveness.ipsets.runs import from_runs
from liveness.kernel import leave_cache
from liveness.optouts.redacted_logs import load, redact_logs, redacted_files
from liveness.optouts.redacted_survey import redact_survey
from liveness.optouts.stage import Stage, finish_redaction
from liveness.order.sampled import probed_within
from liveness.replylog.runlog import PACKETS, REPLIES
from liveness.runs.kinds import SURVEY, kind_of
from liveness.runs.manifest import Manifest
from liveness.runs.manifest_file import write_manifest
from liveness.runs.optout_record import (
    OPT_OUTS_FILE,
    Application,
    Change,
    KeptOptOuts,
    load_opt_outs,
    write_opt_outs,
)
from liveness.runs.rundir import MANIFEST_FILE, SEGMENTS, TARGETS_FILE, RunDirectory
from liveness.runs.segment import SegmentFile, Tally, write_segment
from liveness.runs.set_entry import SetEntry
from liveness.runs.shards import block_prefix_of, planned_by_all_shards, shard_of
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.system.child import run_in_child

LIST_BYTES: Final = 1024 * MIB


def redact_run(directory: RunDirectory, blocked: Intervals, lists: Sequence[Path]) -> Application:
    """Remove what is about blocked addresses from a run; return what changed, also recorded in its manifest.

    `lists` are the files that block. Nothing is written where nothing changes. Raises RefusedError for a run that a
    scan is at work on, LivenessError for files that are damaged; the run is then as it was.
    """
    digests = [hashlib.sha256(read_bytes(path, LIST_BYTES)).hexdigest() for path in lists]
    owner = directory.path.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return _redact(directory, blocked, lists, digests)

    load()  # the owner may not be able to read this program

    def as_owner() -> Application:
        with directory.files() as files:
            files.enter()
        os.setgroups([owner.st_gid])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)
        leave_cache()
        return _redact(RunDirectory(Path()), blocked, lists, digests)

    try:
        return run_in_child(
            as_owner
        )  # as that user: files of a run cannot lead it where that user could not write before
    except OSError as problem:
        raise LivenessError(
            f"{directory.path}: cannot remove opted-out data as its owner, user {owner.st_uid}: {problem.strerror}"
        ) from problem
    except LivenessError as error:
        raise type(error)(f"{directory.path}: {str(error).removeprefix('.: ')}") from error


def _redact(directory: RunDirectory, blocked: Intervals, lists: Sequence[Path], digests: Sequence[str]) -> Application:
    lock = directory.lock()
    try:
        finish_redaction(directory)
        if kind_of(directory.path) == SURVEY:
            return redact_survey(directory, blocked, lists, digests)
        manifest = directory.read_manifest()
        application = _Redaction(directory, blocked, lists, digests, Stage(directory)).run(manifest)
        if manifest.status == "complete":
            directory.remove_lock()
        return application
    finally:
        os.close(lock)


@dataclass(slots=True)
class _Redaction:
    """One redaction of one run, from the first file to the last."""

    directory: RunDirectory
    blocked: Intervals
    lists: Sequence[Path]
    digests: Sequence[str]
    """SHA-256 of each list."""
    stage: Stage

    def run(self, manifest: Manifest) -> Application:
        """Remove the data of blocked addresses; return what changed. LivenessError if the disk refuses."""
        path = self.directory.path
        kept = load_opt_outs(path)
        unwanted = from_runs(self.blocked.first, self.blocked.last)
        with self.stage.discarded_on_error():
            self.stage.make(("sets", SEGMENTS, REPLIES, PACKETS))
            entries, sets = self._sets(manifest.sets, unwanted)
            segments = self._segments(unwanted)
            logs = redact_logs(self.directory.path, self.stage, self.blocked)
            application = Application(
                at=utc_now(),
                lists=[str(path) for path in self.lists],
                sha256=list(self.digests),
                blocked=self.blocked.count,
                sets=sets,
                logs=logs,
                segments=segments,
            )
            listed = self._listed()
            known = kept.withdrawn
            leaving = self.blocked.difference(known)
            if listed is not None:
                leaving = listed.intersection(leaving)
                application = msgspec.structs.replace(application, targets=_targets_of(manifest, listed, leaving))
            if not self.stage.replace and not self.stage.remove and not (listed is not None and leaving.count):
                self.stage.discard()
                return application
            self._records(manifest, entries, application, kept, known.union(leaving))
            self.stage.decide()
        finish_redaction(self.directory)
        return application

    def _sets(self, entries: Sequence[SetEntry], unwanted: BitMap) -> tuple[list[SetEntry], list[Change]]:
        """Stage the sets that hold unwanted addresses without them; return all entries, and what changed."""
        stay: list[SetEntry] = []
        changes: list[Change] = []
        for entry in entries:
            addresses = self.directory.read_set(entry)
            if not addresses.intersect(unwanted):
                stay.append(entry)
                continue
            left = addresses - unwanted
            changes.append(Change(file=entry.file, before=len(addresses), after=len(left)))
            if not left:
                self.stage.remove.append(entry.file)
                continue
            staged = self.stage.place(entry.file)
            digest = write_roaring(staged, left)
            if read_roaring(staged, digest).intersect(unwanted):
                raise LivenessError(f"{staged}: opted-out addresses are still in it")
            stay.append(
                msgspec.structs.replace(entry, cardinality=digest.cardinality, sha256=digest.sha256)
            )  # its file may have another name than the usual one
            self.stage.replace.append(entry.file)
        return stay, changes

    def _listed(self) -> Intervals | None:
        """Return the targets of the run, None if it keeps no list."""
        return self.directory.read_targets() if (self.directory.path / TARGETS_FILE).exists() else None

    def _segments(self, unwanted: BitMap) -> list[Change]:
        """Stage the segments of a run that can be resumed, without unwanted addresses.

        Damaged ones that were set aside are removed.
        """
        changes: list[Change] = []
        folder = self.directory.path / SEGMENTS
        for path in sorted(folder.glob("*.damaged")):
            self.stage.remove.append(f"{SEGMENTS}/{path.name}")
            changes.append(Change(file=self.stage.remove[-1], before=1, after=0))
        for path in sorted(folder.glob("*.segment")):
            segment = SegmentFile(path)
            parts = {key: segment.part(key) for key in segment.keys}
            tally = _without_blocked_sources(segment.tally, self.blocked)
            left = {key: part - unwanted for key, part in parts.items()}
            before, after = sum(map(len, parts.values())), sum(map(len, left.values()))
            if before == after and tally.top_sources == segment.tally.top_sources:
                continue
            name = f"{SEGMENTS}/{path.name}"
            staged = self.stage.path / name
            write_segment(staged, tally, ((key, part) for key, part in left.items() if part), segment.replaces)
            again = SegmentFile(staged)
            if any(again.part(key).intersect(unwanted) for key in again.keys):
                raise LivenessError(f"{staged}: opted-out addresses are still in it")
            self.stage.replace.append(name)
            changes.append(Change(file=name, before=before, after=after))
        return changes

    def _records(
        self,
        manifest: Manifest,
        entries: list[SetEntry],
        application: Application,
        kept: KeptOptOuts,
        opted_out: Intervals,
    ) -> None:
        """Stage the manifest, which is put in place last, and the record of opt-outs."""
        stage = self.stage.path
        record = manifest.opt_outs if manifest.status == "complete" else kept.opt_outs
        gone = manifest.opt_outs.targets + application.targets
        record = msgspec.structs.replace(record, targets=gone, applied=[*record.applied, application])
        removed = kept.without_data.union(self.blocked)
        prefixes = list(opted_out.entries())
        write_opt_outs(stage, KeptOptOuts(opt_outs=record, prefixes=prefixes, removed=list(removed.entries())))
        self.stage.replace.append(OPT_OUTS_FILE)
        files = redacted_files(manifest.log, application.logs, stage)
        top_sources = [
            entry for entry in manifest.busiest_sources if not self.blocked.contains([parse_address(entry.source)])[0]
        ]
        changed = msgspec.structs.replace(
            manifest,
            targets=manifest.targets - application.targets,
            sets=entries,
            log=msgspec.structs.replace(manifest.log, files=files),
            busiest_sources=top_sources,
            opt_outs=record,
        )
        write_manifest(stage / MANIFEST_FILE, changed)
        self.stage.replace.append(MANIFEST_FILE)


def _targets_of(manifest: Manifest, listed: Intervals, part: Intervals) -> int:
    """Return how many targets of a run lie in a part of the address space."""
    prefix = block_prefix_of(manifest)
    index, shards = shard_of(manifest.config)
    planned = manifest.planned if shards == 1 else planned_by_all_shards(manifest, listed)
    return min(
        manifest.targets, probed_within(listed, planned, manifest.seed, prefix, part, index=index, shards=shards)
    )


def _without_blocked_sources(tally: Tally, blocked: Intervals) -> Tally:
    """Return a tally that names no blocked source; what was counted of them stays counted."""
    top_sources = {source: count for source, count in tally.top_sources.items() if not blocked.contains([source])[0]}
    return msgspec.structs.replace(tally, top_sources=top_sources)
