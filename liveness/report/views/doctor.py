"""Features of this machine and ways to send as tables, and a line on what works."""

from collections.abc import Iterator, Sequence

from liveness.analysis.tables import Cell, Column, Marked, Table
from liveness.net.features import Abilities, Feature
from liveness.net.transport import WayTrial


def feature_table(features: Sequence[Feature]) -> Table:
    """Return whether each feature of the kernel is there, what was found, and what needs it."""
    rows: list[tuple[Cell, ...]] = [
        (feature.name, _verdict(feature.available, "yes", "no"), feature.detail, feature.needed_by)
        for feature in features
    ]
    return Table(
        "features", "Features of this machine", tuple(map(Column, ("feature", "here", "found", "needed by"))), rows
    )


def remedies(features: Sequence[Feature]) -> Iterator[str]:
    """Yield a line for each remedy: in a column of a table a command would be wrapped, and could not be copied."""
    for feature in features:
        if feature.remedy is not None:
            yield f"{feature.name}: {feature.remedy}"


def way_table(ways: Sequence[WayTrial]) -> Table:
    """Return the trials of the ways to send; `network.transport: auto` uses the first that passed."""
    columns = (
        Column("interface"),
        Column("sending by"),
        Column("result"),
        Column("frames a call", "frames"),
        Column("trial"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            way.interface,
            way.way,
            _verdict(way.passed, "passed", "failed"),
            "" if way.frames_a_call is None else way.frames_a_call,
            way.detail,
        )
        for way in ways
    ]
    return Table("ways", "Ways to send", columns, rows)


def works_here(able: Abilities) -> str:
    """Return a line on what works here."""
    if able.scan and able.lab:
        return "Works here: scanning on this machine's own interfaces, the lab, and analysis."
    if able.scan:
        return "Works here: scanning on this machine's own interfaces, and analysis; not the lab."
    if able.lab:
        return "Works here: the lab (liveness lab exec), and analysis; not scanning on this machine's own interfaces."
    return "Works here: analysis only; scanning needs raw sockets here or a private network."


def _verdict(good: bool, yes: str, no: str) -> Marked:
    return Marked(yes, "good") if good else Marked(no, "alarm")
