"""Redaction: everything about opted-out addresses leaves the sets, segments and logs of a run that is on disk.

All new files are made beside the old ones and verified, then a list of what goes where is put in place by rename: from
that moment on the redaction is done, and what a crash leaves half-way is finished by whoever opens the run next.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.ipsets.atomic import sync_folder, write_atomically
from liveness.ipsets.roaring import read_roaring, write_roaring
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.store.clock import utc
from liveness.store.manifest import Manifest, SetEntry, write_manifest
from liveness.store.optouts import (
    OPT_OUTS_FILE,
    Application,
    Change,
    KeptOptOuts,
    load_opt_outs,
    write_opt_outs,
)
from liveness.store.redacted_logs import redact
from liveness.store.rundir import LOCK_FILE, MANIFEST_FILE, SEGMENTS, TARGETS_FILE, RunDirectory
from liveness.store.runlog import PACKETS, REPLIES
from liveness.store.segment import SegmentFile, Tally, write_segment

STAGE: Final = ".opt-outs"
_MOVES: Final = "moves.json"


class _Moves(Struct, frozen=True):
    """What is left to do once a redaction is decided: files to put in place of others, and files to remove."""

    replace: list[str]
    remove: list[str]


def bitmap_of(intervals: Intervals) -> BitMap:
    """Return the addresses of intervals as a set."""
    bitmap = BitMap()
    for first, last in zip(intervals.first.tolist(), intervals.last.tolist(), strict=True):
        bitmap.add_range(first, last + 1)
    return bitmap


def redact_run(directory: RunDirectory, blocked: Intervals, lists: Sequence[Path]) -> Application:
    """Remove what is about blocked addresses from a run; return what changed, also recorded in its manifest.

    `lists` are the files that block. Nothing is written where nothing changes. Raises UsageError for a run that a scan
    is at work on, LivenessError for files that are damaged; the run is then as it was.
    """
    lock = directory.lock()
    try:
        finish_redaction(directory)
        manifest = directory.read_manifest()
        application = _Redaction(directory, blocked, lists).run(manifest)
        if manifest.status == "complete":
            (directory.path / LOCK_FILE).unlink(missing_ok=True)
        return application
    finally:
        os.close(lock)


def finish_redaction(directory: RunDirectory) -> None:
    """Finish a redaction that was decided and cut off, or remove what is left of one that was not; the run is locked.

    Raises LivenessError when the disk refuses.
    """
    stage = directory.path / STAGE
    if not stage.is_dir():
        return
    try:
        if (stage / _MOVES).exists():
            moves = msgspec.json.decode((stage / _MOVES).read_bytes(), type=_Moves)
            for file in moves.replace:
                if (stage / file).exists():  # or it was put in place before the cut
                    (stage / file).replace(directory.path / file)
            for file in moves.remove:
                (directory.path / file).unlink(missing_ok=True)
            for folder in {(directory.path / file).parent for file in (*moves.replace, *moves.remove)}:
                sync_folder(folder)
        shutil.rmtree(stage)
    except OSError as problem:
        raise LivenessError(f"{stage}: cannot finish removing opted-out data: {problem.strerror}") from problem


@dataclass(slots=True)
class _Redaction:
    """One redaction of one run, from the first file to the last."""

    directory: RunDirectory
    blocked: Intervals
    lists: Sequence[Path]
    _replace: list[str] = field(default_factory=list)
    _remove: list[str] = field(default_factory=list)

    def run(self, manifest: Manifest) -> Application:
        path, stage = self.directory.path, self.directory.path / STAGE
        kept = load_opt_outs(path)
        unwanted = bitmap_of(self.blocked)
        try:
            self._make_stage(stage)
            entries, sets = self._sets(manifest.sets, unwanted)
            segments = self._segments(unwanted)
            logs = self._logs()
            application = Application(
                at=utc(time.time_ns()),
                lists=[str(one) for one in self.lists],
                sha256=[hashlib.sha256(one.read_bytes()).hexdigest() for one in self.lists],
                blocked=self.blocked.count,
                sets=sets,
                logs=logs,
                segments=segments,
            )
            if not self._replace and not self._remove:
                shutil.rmtree(stage)
                return application
            self._records(manifest, entries, application, kept)
            write_atomically(stage / _MOVES, msgspec.json.encode(_Moves(self._replace, self._remove)))
        except OSError as problem:
            shutil.rmtree(stage, ignore_errors=True)
            raise LivenessError(f"{path}: cannot remove opted-out data: {problem.strerror}") from problem
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
        finish_redaction(self.directory)
        return application

    @staticmethod
    def _make_stage(stage: Path) -> None:
        for folder in ("sets", SEGMENTS, REPLIES, PACKETS):
            (stage / folder).mkdir(parents=True)

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
                self._remove.append(entry.file)
                continue
            staged = self.directory.path / STAGE / entry.file
            digest = write_roaring(staged, left)
            if read_roaring(staged, digest).intersect(unwanted):
                raise LivenessError(f"{staged}: opted-out addresses are in it still")
            stay.append(SetEntry.of(entry.key, digest))
            self._replace.append(entry.file)
        return stay, changes

    def _segments(self, unwanted: BitMap) -> list[Change]:
        """Stage the segments of a run that may go on without unwanted addresses; those set aside as damaged go."""
        changes: list[Change] = []
        folder = self.directory.path / SEGMENTS
        for path in sorted(folder.glob("*.damaged")):
            self._remove.append(f"{SEGMENTS}/{path.name}")
            changes.append(Change(file=self._remove[-1], before=1, after=0))
        for path in sorted(folder.glob("*.segment")):
            segment = SegmentFile(path)
            parts = {key: segment.part(key) for key in segment.keys}
            tally = _without_busiest(segment.tally, self.blocked)
            left = {key: part - unwanted for key, part in parts.items()}
            before, after = sum(map(len, parts.values())), sum(map(len, left.values()))
            if before == after and tally.busiest == segment.tally.busiest:
                continue
            name = f"{SEGMENTS}/{path.name}"
            staged = self.directory.path / STAGE / name
            write_segment(staged, tally, ((key, part) for key, part in left.items() if part), segment.replaces)
            again = SegmentFile(staged)
            if any(again.part(key).intersect(unwanted) for key in again.keys):
                raise LivenessError(f"{staged}: opted-out addresses are in it still")
            self._replace.append(name)
            changes.append(Change(file=name, before=before, after=after))
        return changes

    def _logs(self) -> list[Change]:
        changes: list[Change] = []
        for folder in (REPLIES, PACKETS):
            for path in sorted((self.directory.path / folder).glob("[!.]*")):
                name = f"{folder}/{path.name}"
                staged = self.directory.path / STAGE / name
                before, after = redact(path, staged, self.blocked)
                if before == after:
                    staged.unlink(missing_ok=True)
                    continue
                if redact(staged, staged.with_name(f".{path.name}"), self.blocked) != (after, after):
                    raise LivenessError(f"{staged}: opted-out addresses are in it still")
                staged.with_name(f".{path.name}").unlink(missing_ok=True)
                with staged.open("rb") as file:
                    os.fsync(file.fileno())
                changes.append(Change(file=name, before=before, after=after))
                self._replace.append(name)
        return changes

    def _records(
        self, manifest: Manifest, entries: list[SetEntry], application: Application, kept: KeptOptOuts
    ) -> None:
        """Stage the manifest, last of all to be put in place, and what a run that goes on must know."""
        path, stage = self.directory.path, self.directory.path / STAGE
        record = msgspec.structs.replace(manifest.opt_outs, applied=[*manifest.opt_outs.applied, application])
        if manifest.status != "complete":
            applied = [*kept.opt_outs.applied, application]
            record = msgspec.structs.replace(kept.opt_outs, applied=applied)
            withdrawn = kept.withdrawn
            if (path / TARGETS_FILE).exists():
                withdrawn = withdrawn.union(self.directory.read_targets().intersection(self.blocked))
            write_opt_outs(stage, KeptOptOuts(opt_outs=record, prefixes=withdrawn.prefixes()))
            self._replace.append(OPT_OUTS_FILE)
        after = {change.file: change.after for change in application.logs}
        files = [
            msgspec.structs.replace(file, rows=after[file.file], bytes=(stage / file.file).stat().st_size)
            if file.file in after
            else file
            for file in manifest.log.files
        ]
        busiest = [one for one in manifest.busiest_sources if not self.blocked.contains([parse_address(one.source)])[0]]
        changed = msgspec.structs.replace(
            manifest,
            sets=entries,
            log=msgspec.structs.replace(manifest.log, files=files),
            busiest_sources=busiest,
            opt_outs=record,
        )
        write_manifest(stage / MANIFEST_FILE, changed)
        self._replace.append(MANIFEST_FILE)


def _without_busiest(tally: Tally, blocked: Intervals) -> Tally:
    """Return a tally that names no blocked source; what was counted of them stays counted."""
    busiest = {source: count for source, count in tally.busiest.items() if not blocked.contains([source])[0]}
    return msgspec.structs.replace(tally, busiest=busiest)
