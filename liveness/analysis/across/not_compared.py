"""The runs that are not compared with an earlier one, and the reasons."""

from collections.abc import Iterator, Sequence

from liveness.analysis.across.measure import AcrossMeasure
from liveness.analysis.across.pairing import LeftOut
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.walk import Compared
from liveness.analysis.tables import Column, Table


def not_compared(runs: Sequence[RunStates], compared: Compared) -> list[LeftOut]:
    """Return the runs that the comparisons leave out."""
    del runs
    return list(compared.comparisons.left_out)


def tables(left_out: Sequence[LeftOut]) -> Iterator[Table]:
    """Yield the runs and reasons as one table, if there are any."""
    if left_out:
        yield Table(
            "not_compared",
            "Not compared",
            (Column("run"), Column("because")),
            [(entry.run, entry.reason) for entry in left_out],
            ["Complete runs of one census are compared, on the targets and probes of both."],
        )


NOT_COMPARED = AcrossMeasure("not_compared", not_compared, tables)
