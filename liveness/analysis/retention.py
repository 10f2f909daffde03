"""Retention: how many of a run's addresses are still alive one, two, three runs later."""

from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.result import Formula, share
from liveness.analysis.states import RunStates
from liveness.analysis.walk import Compared


@dataclass(frozen=True, slots=True)
class Retention:
    """One run's curve; entry k of each list is about the run k + 1 after it."""

    run: str
    addresses: Annotated[int, Formula("IPall of the run")]
    alive: Annotated[list[int], Formula("of these, network alive in the later run")]
    share: Annotated[list[float | None], Formula("alive / addresses")]
    throughout: Annotated[list[int], Formula("of these, network alive in the later run and in all between")]
    throughout_share: Annotated[list[float | None], Formula("throughout / addresses")]


def retention(runs: list[RunStates], compared: Compared) -> list[Retention]:
    """Return the curve of every run but the last, in the order in which the runs were compared."""
    curves = []
    for place, run in enumerate(runs[:-1]):
        addresses = int(compared.later[place, place])
        alive = compared.later[place, place + 1 :].tolist()
        throughout = compared.throughout[place, place + 1 :].tolist()
        curves.append(
            Retention(
                run=run.manifest.run,
                addresses=addresses,
                alive=alive,
                share=[share(number, addresses) for number in alive],
                throughout=throughout,
                throughout_share=[share(number, addresses) for number in throughout],
            )
        )
    return curves
