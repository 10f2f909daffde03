"""The table of hit rates of two runs."""

from collections.abc import Collection, Mapping

from liveness.analysis.numbers import signed
from liveness.analysis.tables import Cell, Column, Marked, Share, Table


def hit_rate_table(shares: Mapping[str, tuple[float | None, float]], dropped: Collection[str]) -> Table:
    """Return the change of each probe's hit rate; `shares` are earlier and later, `dropped` those to mark."""
    rows: list[tuple[Cell, ...]] = []
    for probe, (then, now) in shares.items():
        moved: Cell = "-"
        if then:
            text = f"{signed(100 * (now / then - 1))}%"
            moved = Marked(text, "alarm") if probe in dropped else text
        rows.append((probe, Share(then), Share(now), moved))
    return Table(
        "hit_rates",
        "Hit rates",
        (
            Column("probe"),
            Column("earlier", "share", "targets"),
            Column("later", "share", "targets"),
            Column("change", "share", "the earlier rate"),
        ),
        rows,
        ["Targets that anything answered for, over targets probed. Red: a fall of more than a fifth, beyond chance."],
    )
