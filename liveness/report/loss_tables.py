"""Tables of what was lost on the way, and of who sent more than others."""

from liveness.analysis.formula import formulas
from liveness.analysis.measures.loss import Loss
from liveness.report.layout import ABSENT, Section, count, named_formulas
from liveness.runs.manifest import BusySource


def loss_table(losses: dict[str, Loss]) -> Section:
    """Return each probe's targets by the attempts that found them, with the estimate of those that none found."""
    rows = [
        (
            probe,
            count(loss.first_only),
            count(loss.both),
            count(loss.recovered),
            _rounded(loss.missed),
            ABSENT if loss.missed_low is None else f"{_rounded(loss.missed_low)} to {_rounded(loss.missed_high)}",
            " ".join(count(number) for number in loss.duplicates),
        )
        for probe, loss in losses.items()
    ]
    return Section(
        "Loss, by the attempt each reply proves",
        ("probe", "first only", "both", "recovered", "missed", "95% interval", "duplicates"),
        rows,
        [
            *named_formulas(formulas(Loss)),
            "missed is too low where losses come together: a target may be gone for longer than the queue lasts.",
        ],
    )


def busiest_table(sources: list[BusySource]) -> Section:
    """Return who sent by far the most replies."""
    return Section(
        "Busiest sources",
        ("source", "replies, at least"),
        [(entry.source, count(entry.messages)) for entry in sources],
    )


def _rounded(number: float | None) -> str:
    return ABSENT if number is None else f"{number:,.1f}"
