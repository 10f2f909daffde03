"""Compacting: during a run, a child process of low priority unites many segments into one."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from liveness.errors import LivenessError
from liveness.runs.compaction import compaction_due, remove_replaced
from liveness.runs.rundir import RunDirectory
from liveness.scan.process import Child
from liveness.system.privileges import confine_to

NICENESS: Final = 19
GRACE_S: Final = 10.0
"""Time that a compaction may take after the scan has ended. It is then killed, which loses no data."""


@dataclass(slots=True)
class Compacting:
    """The compactions of one session, one at a time. If one fails, there are no more; all segments are kept.

    They run in one child process, which is forked while the supervisor has no threads yet, and requested by a pipe.
    """

    directory: RunDirectory
    _child: Child[None] | None = field(default=None, init=False)
    _requests: int = field(default=-1, init=False)
    """Descriptor to which requests are written; -1 if there is none."""

    def start(self) -> None:
        """Finish a compaction that a killed session left half done, and start the process.

        If this fails, nothing is compacted in this session.
        """
        with suppress(LivenessError, OSError):
            remove_replaced(self.directory)
            reader, self._requests = os.pipe()
            try:
                self._child = Child("compaction", partial(_serve, self.directory, reader), keep=(reader,))
            finally:
                os.close(reader)
            os.set_blocking(self._requests, False)

    def look(self) -> None:
        """Request a compaction of what is due, without waiting."""
        if self._child is not None:
            with suppress(OSError):  # the child has ended, or the pipe is full of earlier requests
                os.write(self._requests, b".")

    def finish(self) -> None:
        """Wait up to GRACE_S for a compaction to finish, and end the process."""
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1
        if self._child is not None:
            self._child.end_within(GRACE_S)
            self._child = None


def _serve(directory: RunDirectory, requests: int) -> None:
    """Compact what is due at each request, until the supervisor closes the pipe. Runs in the child."""
    os.nice(NICENESS)
    confine_to(directory.path, reading=True)
    while os.read(requests, 1 << 12):
        while (due := compaction_due(directory)) is not None:
            due.run()
