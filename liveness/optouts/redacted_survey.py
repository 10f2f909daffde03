"""Redaction of surveys: opted-out addresses have no bit in the planes, and count as withdrawn from the first round."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.clock import utc_now
from liveness.errors import LivenessError
from liveness.files.atomic import replaced
from liveness.optouts.redacted_logs import redact_logs, redacted_files
from liveness.optouts.stage import Stage, finish_redaction
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.delays import FOLDER as DELAYS_FOLDER
from liveness.planes.delays import delays_name, read_delays
from liveness.planes.live import ROUNDS_FOLDER
from liveness.planes.manifest import NAME, ProbeRounds, SurveyManifest, write_manifest
from liveness.planes.matrix import FOLDER, PLANES, Matrix, Planes, plane_name, set_bits, write_planes
from liveness.planes.rundir import SurveyRun
from liveness.planes.withdrawn import first_rounds, withdrawn_runs
from liveness.replylog.runlog import PACKETS, REPLIES
from liveness.runs.optout_record import (
    OPT_OUTS_FILE,
    Application,
    Change,
    KeptOptOuts,
    load_opt_outs,
    write_opt_outs,
)
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals

BLOCKS_AT_ONCE = 128


def redact_survey(
    directory: RunDirectory, blocked: Intervals, lists: Sequence[Path], digests: Sequence[str]
) -> Application:
    """Remove what is about blocked addresses from a survey whose lock the caller holds; return what changed.

    If data of targets is removed, a survey that ended early cannot be resumed afterwards, because its live planes are
    removed. Raises LivenessError for files that are damaged or cannot be written, and for a survey that was killed:
    only its live planes have its last rounds. The run is then as it was.
    """
    run = SurveyRun.open(directory.path)
    if run.manifest.status == "running":
        with directory.files() as files:
            if files.is_directory(ROUNDS_FOLDER):
                raise LivenessError(
                    f"{directory.path}: this survey was killed: `liveness survey run --resume` continues it; when that"
                    " has ended, or was stopped, its opted-out data can be removed"
                )
    return _Redaction(directory, blocked, lists, digests, Stage(directory), run).apply()


@dataclass(slots=True)
class _Redaction:
    """One redaction of one survey."""

    directory: RunDirectory
    blocked: Intervals
    lists: Sequence[Path]
    digests: Sequence[str]
    """SHA-256 of each list."""
    stage: Stage
    run: SurveyRun

    def apply(self) -> Application:
        """Remove the data of blocked addresses; return what changed. LivenessError if the disk refuses."""
        path, addresses = self.directory.path, self.run.blocks.addresses
        gone = self.blocked.contains(addresses)
        first = self._first_rounds()
        kept = load_opt_outs(path)
        listed = addresses[gone & (first > 0)]  # others of a /24 never were targets: they are withdrawn from round 0
        leaving = Intervals.from_bounds(listed, listed).difference(kept.withdrawn)
        application = Application(
            at=utc_now(), lists=[str(one) for one in self.lists], sha256=list(self.digests), blocked=self.blocked.count
        )
        with self.stage.discarded_on_error():
            self.stage.make((FOLDER, REPLIES, PACKETS, DELAYS_FOLDER))
            logs = [*redact_logs(path, self.stage, self.blocked), *self._delays(gone)]
            planes, counts = self._planes(gone) if leaving.count or self._has_bits(gone) else ([], {})
            application = msgspec.structs.replace(application, targets=leaving.count, sets=planes, logs=logs)
            if not (self.stage.replace or leaving.count):
                self.stage.discard()
                return application
            if counts:
                first[gone] = 0
            self._records(application, counts, first, kept, leaving)
            if planes or leaving.count:
                self.stage.remove.append(ROUNDS_FOLDER)  # the live planes have the bits too
            self.stage.decide()
        finish_redaction(self.directory)
        return application

    def _first_rounds(self) -> NDArray[np.int64]:
        """Return the round from which the manifest has each address as withdrawn."""
        manifest = self.run.manifest
        return first_rounds(manifest.withdrawn, self.run.blocks.addresses, manifest.rounds, self.run.path)

    def _delays(self, gone: NDArray[np.bool_]) -> Iterator[Change]:
        """Stage the round-trip times of an imported survey without those of the addresses; yield what changed."""
        for probe in self.run.manifest.delays if gone.any() else ():
            name, before, after = delays_name(probe), 0, 0
            with replaced(self.stage.path / name) as file:
                for delays in read_delays(self.directory.path, probe, len(gone)):
                    stay = delays[~gone[delays["row"]]]
                    file.write(stay.tobytes())
                    before, after = before + len(delays), after + len(stay)
            if before == after:
                (self.stage.path / name).unlink()
                continue
            self.stage.replace.append(name)
            yield Change(file=name, before=before, after=after)

    def _has_bits(self, gone: NDArray[np.bool_]) -> bool:
        """Return whether a plane has a bit of the addresses: only the /24s that they lie in are read."""
        with self.run.matrix() as matrix:
            for probe in self.run.manifest.probes:
                for block in np.flatnonzero(gone.reshape(-1, BLOCK_ADDRESSES).any(axis=1)).tolist():
                    planes = matrix.planes(probe, block, 1)
                    rows = gone[block * BLOCK_ADDRESSES : (block + 1) * BLOCK_ADDRESSES]
                    if any(getattr(planes, plane)[rows].any() for plane in PLANES):
                        return True
        return False

    def _planes(self, gone: NDArray[np.bool_]) -> tuple[list[Change], dict[str, dict[str, int]]]:
        """Stage the planes without a bit of the addresses; return changes, and the bits of each plane by probe."""
        changes, counts = [], {}
        with self.run.matrix() as matrix:
            for probe in self.run.manifest.probes:
                before, after = dict.fromkeys(PLANES, 0), dict.fromkeys(PLANES, 0)
                write_planes(self.stage.path, probe, self._cleared(matrix, probe, gone, before, after))
                counts[probe] = after
                for plane in PLANES:
                    name = plane_name(probe, plane)
                    if before[plane] == after[plane]:
                        (self.stage.path / name).unlink()
                        continue
                    changes.append(Change(file=name, before=before[plane], after=after[plane]))
                    self.stage.replace.append(name)
        return changes, counts

    def _cleared(
        self,
        matrix: Matrix,
        probe: str,
        gone: NDArray[np.bool_],
        before: dict[str, int],
        after: dict[str, int],
    ) -> Iterator[Planes]:
        """Yield the planes of a probe, some /24s at a time, and add up their bits."""
        for first in range(0, len(self.run.blocks), BLOCKS_AT_ONCE):
            count = min(BLOCKS_AT_ONCE, len(self.run.blocks) - first)
            planes = matrix.planes(probe, first, count)
            rows = gone[first * BLOCK_ADDRESSES : (first + count) * BLOCK_ADDRESSES]
            for plane in PLANES:
                bits = getattr(planes, plane)
                before[plane] += set_bits(bits)
                bits[rows] = 0
                after[plane] += set_bits(bits)
            yield planes

    def _records(
        self,
        application: Application,
        counts: dict[str, dict[str, int]],
        first: NDArray[np.int64],
        kept: KeptOptOuts,
        leaving: Intervals,
    ) -> None:
        """Stage the record of opt-outs, and the manifest, which is put in place last."""
        stage = self.stage.path
        record = msgspec.structs.replace(
            kept.opt_outs,
            targets=kept.opt_outs.targets + application.targets,
            applied=[*kept.opt_outs.applied, application],
        )
        prefixes = list(kept.withdrawn.union(leaving).entries())
        write_opt_outs(stage, KeptOptOuts(opt_outs=record, prefixes=prefixes))
        write_manifest(self._manifest(application, counts, first), stage)
        self.stage.replace += [OPT_OUTS_FILE, NAME]

    def _manifest(
        self, application: Application, counts: dict[str, dict[str, int]], first: NDArray[np.int64]
    ) -> SurveyManifest:
        """Return the manifest with what is left; `first` has the round from which each address was withdrawn."""
        manifest, addresses = self.run.manifest, self.run.blocks.addresses
        withdrawn = int((manifest.rounds - first).sum())
        pairs = len(addresses) * manifest.rounds
        log = manifest.log
        if log is not None:
            log = msgspec.structs.replace(log, files=redacted_files(log, application.logs, self.stage.path))
        return msgspec.structs.replace(
            manifest,
            probes=manifest.probes
            | {
                probe: ProbeRounds(withdrawn=withdrawn, not_sent=pairs - bits["sent"] - withdrawn, **bits)
                for probe, bits in counts.items()
            },
            withdrawn=withdrawn_runs(addresses, first, manifest.rounds),
            log=log,
        )
