"""Redaction: everything about opted-out addresses leaves the sets, segments and logs of a run that is on disk.

All new files are made beside the old ones and verified, then a list of what goes where is put in place by rename: from
that moment on the redaction is done, and what a crash leaves half-way is finished by whoever opens the run next.
"""

import hashlib
import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from msgspec import Struct
from pyroaring import BitMap

from liveness.clock import utc
from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import MIB, read_below, read_bytes
from liveness.ipsets.roaring import read_roaring, write_roaring
from liveness.kernel import leave_cache
from liveness.optouts.redacted_logs import load, redact
from liveness.order.sampled import DEFAULT_PREFIX, probed_within
from liveness.replylog.runlog import PACKETS, REPLIES
from liveness.runs.manifest import Manifest, SetEntry, write_manifest
from liveness.runs.optout_record import (
    OPT_OUTS_FILE,
    Application,
    Change,
    KeptOptOuts,
    load_opt_outs,
    write_opt_outs,
)
from liveness.runs.rundir import (
    CHECKPOINT_FILE,
    KEY_FILE,
    LOCK_FILE,
    MANIFEST_FILE,
    SEGMENTS,
    TARGETS_FILE,
    RunDirectory,
)
from liveness.runs.segment import SegmentFile, Tally, write_segment
from liveness.space.addresses import parse_address, shown
from liveness.space.intervals import Intervals
from liveness.space.targets import LONGEST_BLOCK_PREFIX
from liveness.system.child import run_in_child

LIST_BYTES: Final = 1024 * MIB
STAGE: Final = ".opt-outs"
_MOVES: Final = "moves.json"
_FILES: Final = (MANIFEST_FILE, OPT_OUTS_FILE)
"""What a redaction changes besides sets, segments and logs, which lie in folders."""
_NEVER: Final = (STAGE, KEY_FILE, LOCK_FILE, CHECKPOINT_FILE)


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
    digests = [hashlib.sha256(read_bytes(one, LIST_BYTES)).hexdigest() for one in lists]
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
        return run_in_child(as_owner)  # what root could be led to write, this user could write before
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
        manifest = directory.read_manifest()
        application = _Redaction(directory, blocked, lists, digests).run(manifest)
        if manifest.status == "complete":
            directory.remove_lock()
        return application
    finally:
        os.close(lock)


def finish_redaction(directory: RunDirectory) -> None:
    """Finish a redaction that was decided and cut off, or remove what is left of one that was not; the run is locked.

    Raises LivenessError when the disk refuses.
    """
    stage = directory.path / STAGE
    try:
        with directory.files() as files:
            if files.status(STAGE) is None:
                return
            _finish(files, stage, _sets_of(directory))
            files.remove_tree(STAGE)
    except OSError as problem:
        raise LivenessError(f"{stage}: cannot finish removing opted-out data: {problem.strerror}") from problem


def _sets_of(directory: RunDirectory) -> set[str]:
    """Return the files of the sets that a run has, or had before opt-outs were applied to it."""
    try:
        manifest = directory.read_manifest()
    except LivenessError:
        return set()
    emptied = {change.file for application in manifest.opt_outs.applied for change in application.sets}
    return {entry.file for entry in manifest.sets} | emptied


def _finish(files: Directory, stage: Path, sets: Collection[str]) -> None:
    """Do what a redaction has decided. Every name must be one that redactions give: this file may be anybody's."""
    try:
        content = read_below(files, f"{STAGE}/{_MOVES}")
    except FileNotFoundError:
        return
    moves = decoded(content, _Moves, stage / _MOVES, "damaged")
    for name in (*moves.replace, *moves.remove):
        if not _is_redacted(name, sets):
            raise LivenessError(
                f"{stage / _MOVES}: {shown(name)}: no file that a removal of opted-out data changes: nothing was"
                f" touched; remove {stage} and run it again"
            )
    for name in moves.replace:
        if files.is_file(f"{STAGE}/{name}"):  # or it was put in place before the cut
            files.move(f"{STAGE}/{name}", name)
    for name in moves.remove:
        files.remove(name)
    for folder in {str(PurePosixPath(name).parent) for name in (*moves.replace, *moves.remove)}:
        files.sync(folder)


def _is_redacted(name: str, sets: Collection[str]) -> bool:
    """Return whether a name is that of a file which a redaction puts in place of another, or removes."""
    path = PurePosixPath(name)
    if not path.parts or str(path) != name or path.is_absolute() or ".." in path.parts or not name.isprintable():
        return False
    if len(path.parts) == 1:
        return name in _FILES or (name in sets and name not in _NEVER)
    return path.parts[0] not in _NEVER


@dataclass(slots=True)
class _Redaction:
    """One redaction of one run, from the first file to the last."""

    directory: RunDirectory
    blocked: Intervals
    lists: Sequence[Path]
    digests: Sequence[str]
    """SHA-256 of each list."""
    _replace: list[str] = field(default_factory=list)
    _remove: list[str] = field(default_factory=list)

    def run(self, manifest: Manifest) -> Application:
        path, stage = self.directory.path, self.directory.path / STAGE
        kept = load_opt_outs(path)
        unwanted = bitmap_of(self.blocked)
        try:
            self._make_stage()
            entries, sets = self._sets(manifest.sets, unwanted)
            segments = self._segments(unwanted)
            logs = self._logs()
            application = Application(
                at=utc(time.time_ns()),
                lists=[str(one) for one in self.lists],
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
            if not self._replace and not self._remove and not (listed is not None and leaving.count):
                self._discard()
                return application
            self._records(manifest, entries, application, kept, known.union(leaving))
            write_atomically(stage / _MOVES, msgspec.json.encode(_Moves(self._replace, self._remove)))
        except OSError as problem:
            with suppress(OSError):
                self._discard()
            raise LivenessError(f"{path}: cannot remove opted-out data: {problem.strerror}") from problem
        except BaseException:
            with suppress(OSError):
                self._discard()
            raise
        finish_redaction(self.directory)
        return application

    def _make_stage(self) -> None:
        with self.directory.files() as files, files.make_directory(STAGE, exist_ok=False) as stage:
            for folder in ("sets", SEGMENTS, REPLIES, PACKETS):
                stage.make_directory(folder).close()

    def _discard(self) -> None:
        with self.directory.files() as files:
            files.remove_tree(STAGE)

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
            staged = self._staged(entry.file)
            digest = write_roaring(staged, left)
            if read_roaring(staged, digest).intersect(unwanted):
                raise LivenessError(f"{staged}: opted-out addresses are in it still")
            stay.append(
                msgspec.structs.replace(entry, cardinality=digest.cardinality, sha256=digest.sha256)
            )  # its file may have another name than ours
            self._replace.append(entry.file)
        return stay, changes

    def _staged(self, name: str) -> Path:
        """Return where a file is staged, and make the folders that it lies in."""
        with self.directory.files() as files:
            folder = PurePosixPath(STAGE)
            for part in PurePosixPath(name).parts[:-1]:
                folder /= part
                files.make_directory(str(folder)).close()
        return self.directory.path / STAGE / name

    def _listed(self) -> Intervals | None:
        """Return the targets of the run, None if it keeps no list."""
        return self.directory.read_targets() if (self.directory.path / TARGETS_FILE).exists() else None

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
        self,
        manifest: Manifest,
        entries: list[SetEntry],
        application: Application,
        kept: KeptOptOuts,
        opted_out: Intervals,
    ) -> None:
        """Stage the manifest, last of all to be put in place, and who has opted out: they count no more."""
        stage = self.directory.path / STAGE
        record = manifest.opt_outs if manifest.status == "complete" else kept.opt_outs
        gone = manifest.opt_outs.targets + application.targets
        record = msgspec.structs.replace(record, targets=gone, applied=[*record.applied, application])
        write_opt_outs(stage, KeptOptOuts(opt_outs=record, prefixes=list(opted_out.entries())))
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
            targets=manifest.targets - application.targets,
            sets=entries,
            log=msgspec.structs.replace(manifest.log, files=files),
            busiest_sources=busiest,
            opt_outs=record,
        )
        write_manifest(stage / MANIFEST_FILE, changed)
        self._replace.append(MANIFEST_FILE)


def _targets_of(manifest: Manifest, listed: Intervals, part: Intervals) -> int:
    """Return how many targets of a run lie in a part of the address space."""
    prefix = manifest.config.get("block_prefix")
    prefix = prefix if isinstance(prefix, int) and 1 <= prefix <= LONGEST_BLOCK_PREFIX else DEFAULT_PREFIX
    return min(manifest.targets, probed_within(listed, manifest.planned, manifest.seed, prefix, part))


def _without_busiest(tally: Tally, blocked: Intervals) -> Tally:
    """Return a tally that names no blocked source; what was counted of them stays counted."""
    busiest = {source: count for source, count in tally.busiest.items() if not blocked.contains([source])[0]}
    return msgspec.structs.replace(tally, busiest=busiest)
