"""The table of hit rates of two runs."""

from collections.abc import Collection, Mapping

from rich.text import Text

from liveness.report.layout import Section, percent, signed
from liveness.report.run_tables import ALARM


def hit_table(shares: Mapping[str, tuple[float | None, float]], fallen: Collection[str]) -> Section:
    """Return how the hit rate of each probe moved; `shares` are then and now, `fallen` those that fell far."""
    rows = []
    for probe, (then, now) in shares.items():
        moved = (
            Text("-")
            if not then
            else Text(f"{signed(100 * (now / then - 1))}%", style=ALARM if probe in fallen else "")
        )
        rows.append((probe, percent(then), percent(now), moved))
    return Section(
        "Hit rates",
        ("probe", "earlier", "later", "change"),
        rows,
        ["Targets that anything answered for, over targets probed. Red: a fall of more than a fifth, beyond chance."],
    )
