"""How far a survey on disk is: its state, its round, and the counts of its last rounds."""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from liveness.clock import utc
from liveness.errors import UsageError
from liveness.files.directory import Directory
from liveness.planes.manifest import NAME, SurveyManifest, load_manifest
from liveness.runs.rundir import LOCK_FILE
from liveness.survey.gaps import read_gaps
from liveness.survey.recorder import RoundCount, rounds_of_record


@dataclass(frozen=True, slots=True)
class SurveyProgress:
    """The progress of a survey."""

    manifest: SurveyManifest
    state: str
    """complete, partial (ended early), running, or killed (nobody works on it)."""
    now_round: int | None
    """The round of now, None before the first and after the last."""
    gaps: int
    last: list[RoundCount]

    @property
    def is_over(self) -> bool:
        """Whether all planned rounds have passed: then another session would send nothing."""
        return time.time_ns() >= _end_ns(self.manifest)

    def document(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        manifest = self.manifest
        return {
            "schema": 1,
            "kind": "survey-status",
            "run": manifest.run,
            "state": self.state,
            "start": manifest.survey.start,
            "end": utc(_end_ns(manifest)),
            "interval_s": manifest.interval_s,
            "round": self.now_round,
            "rounds": _planned(manifest),
            "blocks": manifest.blocks,
            "gaps": self.gaps,
            "last_rounds": msgspec.to_builtins(self.last),
        }

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        manifest = self.manifest
        where = "" if self.now_round is None else f", in round {self.now_round:,}"
        found = [
            f"{manifest.run}: {self.state}{where} of {_planned(manifest):,}, each {manifest.interval_s:g} s",
            f"  from {manifest.survey.start} to {utc(_end_ns(manifest))}; {manifest.blocks:,} /24s; {self.gaps:,} gaps",
        ]
        for line in self.last:
            counts = "; ".join(
                f"{name}: sent {count.sent:,}, positive {count.positive:,}, negative {count.negative:,}"
                for name, count in line.probes.items()
            )
            found.append(f"  round {line.round:,}  {counts}")
        return found


def _planned(manifest: SurveyManifest) -> int:
    return manifest.rounds if manifest.planned_rounds is None else manifest.planned_rounds


def _end_ns(manifest: SurveyManifest) -> int:
    return manifest.start_ns + round(_planned(manifest) * manifest.interval_s * 1e9)


def progress_of(run: Path, rounds: int) -> SurveyProgress:
    """Return the progress of the survey in a run directory, with its last `rounds` rounds."""
    if not (run / NAME).is_file():
        raise UsageError(f"{run}: no run of a survey: it has no {NAME}")
    manifest = load_manifest(run)
    state: str = manifest.status
    if state == "running" and not _locked(run):
        state = "killed"
    now_ns = time.time_ns()
    inside = manifest.start_ns <= now_ns < _end_ns(manifest) and state in ("running", "killed", "partial")
    now_round = int((now_ns - manifest.start_ns) / (manifest.interval_s * 1e9)) if inside else None
    gaps = len(manifest.gaps) if state == "complete" else len(read_gaps(run).gaps)
    return SurveyProgress(manifest, state, now_round, gaps, rounds_of_record(run)[-rounds:] if rounds else [])


def _locked(run: Path) -> bool:
    """Return whether a process works on a run; if that cannot be found out, the manifest is believed."""
    try:
        with Directory.open(run) as directory:
            descriptor = directory.open_file(LOCK_FILE)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
