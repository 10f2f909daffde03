"""Compacting: while a run goes on, a child of low priority makes one segment of many."""

import os
from dataclasses import dataclass, field
from typing import Final

from liveness.errors import LivenessError
from liveness.scan.process import Child
from liveness.store.compaction import compaction_due, remove_replaced
from liveness.store.rundir import RunDirectory

NICENESS: Final = 19


@dataclass(slots=True)
class Compacting:
    """The compactions of one session, one at a time. If one fails they end: the segments are all there still."""

    directory: RunDirectory
    _child: Child[None] | None = field(default=None, init=False)
    _failed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Finish what a killed session has left half done; if the disk refuses, nothing is compacted."""
        try:
            remove_replaced(self.directory)
        except LivenessError:
            self._failed = True

    def look(self) -> None:
        """Begin the next compaction, if there is one to be done and the last has ended."""
        if self._child is not None and self._child.ended():
            self._failed = self._child.problem() is not None
            self._child = None
        if self._child is not None or self._failed:
            return
        try:
            due = compaction_due(self.directory)
        except LivenessError:  # the merge will name what is damaged
            self._failed = True
            return
        if due is None:
            return

        def compact() -> None:
            os.nice(NICENESS)
            due.run()

        self._child = Child("compaction", compact)

    def finish(self) -> None:
        """Wait until nothing is being compacted."""
        if self._child is not None:
            self._child.problem()
            self._child = None
