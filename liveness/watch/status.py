"""Owns the status file: a JSON document a line, one a second."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from liveness.clock import utc_now
from liveness.errors import UsageError
from liveness.files.outputs import open_destination
from liveness.runs.manifest import Manifest
from liveness.scan.plan import Plan
from liveness.scan.record import Identity
from liveness.watch.reading import Reading


class ProbeStatus(Struct, frozen=True, kw_only=True):
    """One probe: see the fields of the same names in `StatusLine`."""

    sent: int
    planned: int
    replies: int
    sent_pps: float
    replies_pps: float
    hit_rate: float | None


class StatusLine(Struct, frozen=True, kw_only=True):
    """One line. `docs/census.md` explains every field; new ones may be added."""

    time: str
    run: str
    state: str
    elapsed_s: float
    eta_s: float | None
    sent: int
    planned: int
    replies: int
    sent_pps: float
    replies_pps: float
    rate_pps: float
    hit_rate: float | None
    packets: int
    rejected: int
    kernel_drops: int
    nic_drops: int
    send_errors: int
    silent: bool
    lost: int
    repaired: int
    given_up_s: float
    blocks_done: int
    blocks: int
    problem: str | None = None
    probes: dict[str, ProbeStatus]


def status_of(run: str, reading: Reading, state: str) -> StatusLine:
    """Return a reading as a line; `state` is what `state_of` says, then the manifest's status."""
    progress = reading.progress
    return StatusLine(
        time=utc_now(),
        run=run,
        state=state,
        elapsed_s=round(progress.elapsed_s, 3),
        eta_s=None if reading.eta_s is None else round(reading.eta_s, 1),
        sent=progress.sent,
        planned=progress.planned,
        replies=reading.replies,
        sent_pps=round(reading.sent_pps, 1),
        replies_pps=round(reading.replies_pps, 1),
        rate_pps=round(progress.rate_pps, 4),
        hit_rate=_share(reading.hit_rate),
        packets=progress.packets,
        rejected=progress.rejected,
        kernel_drops=progress.kernel_drops,
        nic_drops=progress.nic_drops,
        send_errors=progress.send_errors,
        silent=progress.losses.silent,
        lost=progress.losses.lost,
        repaired=progress.losses.repaired,
        given_up_s=round(progress.losses.given_up_s, 3),
        blocks_done=progress.blocks_drained,
        blocks=progress.blocks,
        problem=progress.problem,
        probes={
            probe.name: ProbeStatus(
                sent=probe.sent,
                planned=probe.planned,
                replies=probe.replies,
                sent_pps=round(probe.sent_pps, 1),
                replies_pps=round(probe.replies_pps, 1),
                hit_rate=_share(probe.hit_rate),
            )
            for probe in reading.probes
        },
    )


def state_of(reading: Reading) -> str:
    """Return whether a scan sends, is paused, or waits for late replies to its last probes."""
    progress = reading.progress
    if progress.sending and progress.problem is not None:
        return "paused"
    return "sending" if progress.sending and progress.sent < progress.planned else "waiting"


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


@dataclass(slots=True)
class StatusFile:
    """Writes the lines. The file begins anew with each scan; one that cannot be written any more is told once."""

    path: Path
    warn: Callable[[str], None]
    _descriptor: int | None = None
    _run: str = ""
    _last: Reading | None = field(default=None)

    def open(self) -> None:
        """Open the file. Raises UsageError that names it; a pipe that nobody reads cannot be written either."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK
        try:
            self._descriptor = open_destination(self.path, flags, 0o644)
        except OSError as problem:
            raise UsageError(f"{self.path}: cannot write the status here: {problem.strerror}") from problem

    def begin(self, plan: Plan, identity: Identity) -> None:
        """Note the name of the run."""
        self._run = f"{plan.config.name}/{identity.directory.path.name}"

    def read(self, reading: Reading) -> None:
        """Write a line."""
        self._last = reading
        self._write(status_of(self._run, reading, state_of(reading)))

    def end(self, manifest: Manifest) -> None:
        """Write the last line."""
        if self._last is not None:
            self._write(status_of(self._run, self._last, manifest.status))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: StatusLine) -> None:
        if self._descriptor is None:
            return
        content = msgspec.json.encode(line) + b"\n"
        try:
            written = os.write(self._descriptor, content)  # one call a line: a reader never sees half of one
        except BlockingIOError:  # a pipe whose reader is slow misses a line
            return
        except OSError as problem:
            self.warn(f"{self.path}: no more status: {problem.strerror}")
            self.close()
            return
        if written < len(content):
            self.warn(f"{self.path}: no more status: no space left")
            self.close()
