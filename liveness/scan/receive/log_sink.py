"""Sink that writes the log of a run: every reply and every packet, in order of arrival."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from liveness.replylog import runlog
from liveness.replylog.runlog import RunLog, settle
from liveness.runs.logstream import LogEnd
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.receive.first_data import FirstData
from liveness.scan.receive.sink import Conclusion, Parts, Received, Sink, SinkContext, SinkKind, no_parts

if TYPE_CHECKING:
    from liveness.scan.plan import Plan


class LogSink(Sink):
    """The log of one receiver."""

    def __init__(self, log: RunLog, first_data: FirstData) -> None:
        self._log = log
        self._first_data = first_data
        self._end = LogEnd()

    def block(self, block: NDArray[np.uint8], packets: int, replies: NDArray[np.void]) -> None:
        """Write every packet of a block and the accepted replies among them."""
        self._log.block(block, packets)
        self._log.replies(replies, self._first_data.of(len(replies)))

    def take(self, tally: Tally) -> Parts:
        """Add the final state of the log to the tally of the last segment."""
        tally.log.add(self._end)
        self._end = LogEnd()
        return no_parts

    def end(self) -> None:
        """Close the files."""
        self._end = self._log.close()

    def wait(self) -> None:
        """Wait until all replies are in Parquet."""
        self._log.wait()


class LogSinks(SinkKind):
    """Logs that the config selects with `replies`; none by default."""

    def open(self, context: SinkContext) -> LogSink | None:
        """Return the log of one receiver, or None if no log is kept. The log starts its converter as a process."""
        mode = context.plan.config.replies
        if mode == "none":
            return None
        names = [probe.name for probe in context.plan.probes]
        log = RunLog(
            context.directory.path,
            mode,
            names,
            context.receiver,
            ethernet=context.ethernet,
            first_bytes=context.first_data.size if context.first_data.kept else None,
        )
        return LogSink(log, context.first_data)

    def warm_up(self, plan: "Plan") -> None:
        """Compile the kernels that write packets."""
        del plan
        runlog.warm_up()

    def conclude(self, plan: "Plan", directory: RunDirectory, received: Received) -> Conclusion:
        """Convert the rest of the log to Parquet, and return its description for the manifest."""
        tally = received.tally
        log = settle(directory.path, plan.config.replies, tally.log, tally.accepted, tally.packets)
        return Conclusion({"log": log}, log.problems)
