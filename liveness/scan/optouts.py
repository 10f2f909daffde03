"""Opt-outs during a scan: the scan watches its blocklists, and stops probing targets that are added to them."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from liveness.clock import utc
from liveness.config.load import list_files, read_entries, skipped_in
from liveness.errors import LivenessError, UsageError
from liveness.runs.optout_record import KeptOptOuts, ListProblem, OptOuts, Withdrawal, load_opt_outs, write_opt_outs
from liveness.scan.interruption import Interruption
from liveness.scan.plan import Plan
from liveness.scan.send.withdrawn import WithdrawnList
from liveness.space.intervals import Intervals

LOOK_EVERY_S: Final = 1.0
"""A changed list is read once it has not changed for this long, because it may be written in place."""

Signature = tuple[int, int, int, int] | None
"""Signature of a file: device, inode, size, time of the last change in ns. None if the file does not exist."""


@dataclass(slots=True)
class OptOutWatch:
    """The blocklists of one session of a run. Added targets are withdrawn; removed entries stay blocked."""

    plan: Plan
    directory: Path
    withdrawn: WithdrawnList
    notice: Callable[[str], None]
    """Called with one line for each withdrawal, and for a list that cannot be read, once per change of it."""
    started_s: float = field(default_factory=time.monotonic)
    files: Sequence[Path] = field(init=False)
    resumed: bool = field(default=False, init=False)
    """Whether an earlier session of the run has withdrawn anything."""
    _record: OptOuts = field(default=OptOuts(), init=False)
    _all: Intervals = field(default_factory=Intervals.empty, init=False)
    _removed: list[str] = field(default_factory=list, init=False)
    """Addresses whose data was removed from the run between two of its sessions."""
    _left_out: Intervals = field(default_factory=Intervals.empty, init=False)
    """Targets that are not probed any more although no list blocks them."""
    _seen: list[Signature] = field(default_factory=list, init=False)
    _read: list[Signature] = field(default_factory=list, init=False)
    _next_look_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Withdraw the targets that earlier sessions withdrew, and those blocked since the targets were resolved."""
        self.files = list_files(self.plan.config.targets.blocklists)
        try:
            kept = load_opt_outs(self.directory)
        except LivenessError as error:
            self._problem(str(error))
        else:
            self._record, self._removed = kept.opt_outs, kept.removed
            self._all = kept.withdrawn.intersection(self.plan.intervals)
        if len(self._all):
            self.resumed = True
            self.withdrawn.publish(self._all)
        self.look(now=True)

    @property
    def record(self) -> OptOuts:
        """Record of all opt-outs so far, in all sessions of the run."""
        return self._record

    def look(self, *, now: bool = False) -> None:
        """Check whether a list has changed, every LOOK_EVERY_S or `now`.

        Raises LivenessError if more intervals are blocked than the withdrawn list has room for.
        """
        if time.monotonic() < self._next_look_s and not now:
            return
        self._next_look_s = time.monotonic() + LOOK_EVERY_S
        signatures = [_signature(path) for path in self.files]
        settled = signatures == self._seen or now
        self._seen = signatures
        if settled and signatures != self._read:
            self._read = signatures
            self._take()

    def look_again(self) -> None:
        """Read the lists even if they have not changed."""
        self._read = []
        self.look(now=True)

    def look_or_end(self, interruption: Interruption) -> None:
        """Withdraw newly blocked targets, as a SIGHUP requests also now; end the scan early if that is impossible."""
        with interruption.by_errors():
            if interruption.read_lists:
                interruption.read_lists = False
                self.look_again()
            self.look()

    def leave_out(self, targets: Intervals) -> None:
        """Stop probing some targets in this session, without an opt-out."""
        self._left_out = self._left_out.union(targets.intersection(self.plan.intervals))
        self.withdrawn.publish(self._all.union(self._left_out))

    def _take(self) -> None:
        """Read the lists and withdraw newly blocked targets; if a list cannot be read, nothing changes."""
        try:
            blocked = read_entries(
                [entry for entry in self.plan.config.targets.blocklists if entry != "-"], skipped_in(self.plan.config)
            )
        except UsageError as error:
            self._problem(f"{error}; the blocklist as it was before stays in force until this is mended")
            return
        new = blocked.intersection(self.plan.intervals).difference(self._all)
        if not len(new):
            return
        self._all = self._all.union(new)
        self.withdrawn.publish(self._all.union(self._left_out))
        withdrawal = Withdrawal(
            at=utc(time.time_ns()),
            after_s=round(time.monotonic() - self.started_s, 3),
            addresses=new.count,
            lists=[str(path) for path in self.files],
        )
        self._keep(withdrawals=[*self.record.withdrawals, withdrawal])
        self.notice(
            f"blocklist changed: {new.count:,} targets withdrawn after {withdrawal.after_s:,.1f} s:"
            " nothing more is sent to them"
        )

    def _problem(self, text: str) -> None:
        self.notice(f"WARNING: {text}")
        self._keep(list_problems=[*self.record.list_problems, ListProblem(at=utc(time.time_ns()), problem=text)])

    def _keep(self, **changes: object) -> None:
        record = msgspec.structs.replace(self.record, **changes)
        self._record = record
        with suppress(LivenessError):  # the checkpoint reports a full disk; the withdrawal is in force all the same
            kept = KeptOptOuts(opt_outs=record, prefixes=list(self._all.entries()), removed=self._removed)
            write_opt_outs(self.directory, kept)


def _signature(path: Path) -> Signature:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
