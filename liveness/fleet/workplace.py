"""Directory of a job at its vantage point: the config and lists of its scan, its run, its lock and its outcome."""

import hashlib
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from liveness.config.units import Duration, StartTime
from liveness.errors import LivenessError, RefusedError
from liveness.files import locks
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_below
from liveness.files.yaml import dump_yaml
from liveness.fleet import layout
from liveness.fleet.job import Job, Outcome
from liveness.fleet.plan import time_of
from liveness.fleet.stored_run import identity_of
from liveness.planes.blocks import read_blocks
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory
from liveness.space.intervals import Intervals
from liveness.space.prefixes import parse_lines

CONFIG: Final = "config.yaml"
TARGETS: Final = layout.TARGETS
BLOCKS: Final = layout.BLOCKS
BLOCKED: Final = "blocked.txt"
"""Addresses of the /24s of a survey that were blocked when it was planned."""
OPT_OUTS: Final = "opt-outs.txt"
SECRET: Final = "secret"  # noqa: S105 - the name of a file
OUTCOME: Final = "outcome.json"
LOCK: Final = "runner.lock"
LOG: Final = "runner.log"
METRICS: Final = "metrics.prom"
RUNS: Final = "runs"
PRIVATE: Final = 0o600
READABLE: Final = 0o644
"""Of what the scan reads: it drops its privileges, and reads the lists again later."""


def path_of(job: Job) -> Path:
    """Return the directory of a job, which need not exist."""
    return Path(job.directory).expanduser().absolute() / job.census / job.folder


@dataclass(frozen=True, slots=True)
class Workplace:
    """The directory of a job. Methods raise LivenessError that names the file."""

    job: Job
    path: Path

    @classmethod
    def of(cls, job: Job) -> "Workplace":
        """Return the directory of a job, which is made if it is missing. RefusedError if root cannot trust it."""
        path = path_of(job)
        try:
            Directory.make(path).close()
        except OSError as problem:
            raise LivenessError(f"{path}: cannot make the directory of this job: {problem.strerror}") from problem
        return cls(job, path)

    @property
    def run(self) -> RunDirectory:
        """The directory of the run, which need not exist."""
        return RunDirectory(self.path / RUNS / self.job.census / self.job.run)

    @property
    def machine(self) -> str:
        """The identity of this machine and this directory: the holder of the lock here is alone with the job."""
        try:
            machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            machine = os.uname().nodename
        return hashlib.sha256(f"{machine}|{self.path.resolve()}".encode()).hexdigest()[:32]

    def lock(self) -> int:
        """Take the job on this machine; return the lock's descriptor. RefusedError if another process has it."""
        work, remedy = "a runner is at work on this job", "wait for its end"
        with self._files() as files:
            return locks.take(files, LOCK, self.path, work, remedy)

    def is_locked(self) -> bool:
        """Return whether a runner is at work on the job on this machine."""
        try:
            os.close(self.lock())
        except RefusedError:
            return True
        return False

    def write(self, name: str, content: bytes, mode: int = PRIVATE) -> None:
        """Replace a file of the directory, which only its owner may read by default."""
        try:
            with self._files() as files:
                files.write(name, content, mode)
        except OSError as problem:
            raise LivenessError(f"{self.path / name}: cannot write: {problem.strerror}") from problem

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it does not exist or cannot be read."""
        try:
            with self._files() as files:
                return read_below(files, name, 1 << 30)
        except OSError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""
        with suppress(OSError), self._files() as files:
            files.remove(name)

    def open_log(self) -> int:
        """Open the log of runner and scan to append to it; return its descriptor."""
        with self._files() as files:
            return files.append_to(LOG, PRIVATE)

    def write_config(self) -> None:
        """Write the config of the scan, with the files of this directory in it; the lists are there already."""
        job = self.job
        opt_outs = [str(self.path / OPT_OUTS)]
        document = {**job.config, "output": str(self.path / RUNS)}
        document |= {"shard": {"index": job.shard, "of": job.shards}, "vantage": job.vantage}
        if job.kind == "survey":
            blocked = self._blocked()
            document["targets"] = {"block": [str(self.path / BLOCKED)], "opt_outs": opt_outs}
            document["survey"] = {**job.config["survey"], "blocks": str(self.path / BLOCKS)}
            document["start_at"] = time_of(StartTime(job.start_at).seconds + Duration(job.offset).seconds)
            self.write(BLOCKED, "".join(f"{entry}\n" for entry in blocked.entries()).encode(), READABLE)
        else:
            document["targets"] = {"allow": [str(self.path / TARGETS)], "opt_outs": opt_outs}
            document |= {"start_at": job.start_at, "start_offset": job.offset}
        if job.secret:
            self.write(SECRET, bytes.fromhex(job.secret))
            document["secret"] = str(self.path / SECRET)
        self.write(CONFIG, dump_yaml(document).encode(), READABLE)

    def _blocked(self) -> Intervals:
        """Return the addresses of a survey's /24s that are none of its targets."""
        content = (self.read(TARGETS) or b"").decode("ascii", "replace")
        targets = parse_lines(content.splitlines(), str(self.path / TARGETS))
        return read_blocks(self.path / BLOCKS).intervals.difference(targets)

    def words(self) -> list[str]:
        """Return the command that begins the scan, or resumes it."""
        begin = self.job.command or (sys.executable, "-m", "liveness")
        command = ("survey", "run") if self.job.kind == "survey" else ("scan",)
        words = [*begin, *command, "-q", "--metrics-file", str(self.path / METRICS)]
        run = self.run
        if (run.path / MANIFEST_FILE).is_file():
            return [*words, "--resume", str(run.path)]
        return [*words, "--config", str(self.path / CONFIG), "--run-id", self.job.run]

    def is_complete(self) -> bool:
        """Return whether the run is complete."""
        return self.status() == "complete"

    def status(self) -> str | None:
        """Return the status that the manifest of the run has; None without one that can be read."""
        try:
            return identity_of(self.run.path).status
        except LivenessError:
            return None

    def is_scanned(self) -> bool:
        """Return whether a scan is at work on the run, such as one whose runner was killed."""
        if not self.run.path.is_dir():
            return False
        try:
            os.close(self.run.lock())
        except RefusedError:
            return True
        return False

    def discard_unbegun(self) -> None:
        """Remove the directory of a run that was killed before it had a manifest: nothing was sent yet."""
        run = self.run
        if run.path.is_dir() and not (run.path / MANIFEST_FILE).exists():
            run.discard()

    def share(self) -> float | None:
        """Return the share of the probes that were sent, from the metrics of the scan; None if it is not known."""
        sums = {"liveness_probes_planned": 0.0, "liveness_probes_sent_total": 0.0}
        for line in (self.read(METRICS) or b"").decode("utf-8", "replace").splitlines():
            name, _, value = line.rpartition(" ")
            label = name.partition("{")[0]
            if label in sums:
                with suppress(ValueError):
                    sums[label] += float(value)
        planned, sent = sums.values()
        return round(min(1.0, sent / planned), 4) if planned > 0 else None

    def write_outcome(self, outcome: Outcome) -> None:
        """Write how the job ended."""
        self.write(OUTCOME, msgspec.json.encode(outcome))

    def outcome(self) -> Outcome | None:
        """Return how the job ended; None if its runner was killed."""
        content = self.read(OUTCOME)
        return None if content is None else decoded(content, Outcome, self.path / OUTCOME, "a damaged outcome")

    def _files(self) -> Directory:
        try:
            return Directory.open(self.path)
        except OSError as problem:
            raise LivenessError(f"{self.path}: cannot open: {problem.strerror}") from problem
