"""Retention: how many of a run's addresses are still alive one, two, three runs later."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.walk import Compared
from liveness.analysis.formula import Formula, share


@dataclass(frozen=True, slots=True)
class Retention:
    """One run's curve; entry k of each list is about the run that `later` names k-th.

    Runs of one census are followed on the targets of all of them, `targets`, by the probes that all of them sent.
    """

    run: str
    addresses: Annotated[int, Formula("IPall of the run, on the targets and by the probes of all runs compared")]
    alive: Annotated[list[int], Formula("of these, network alive in the later run")]
    share: Annotated[list[float | None], Formula("alive / addresses")]
    throughout: Annotated[list[int], Formula("of these, network alive in the later run and in all between")]
    throughout_share: Annotated[list[float | None], Formula("throughout / addresses")]
    later: list[str] = field(default_factory=list)
    targets: int | None = None


def retention(runs: list[RunStates], compared: Compared) -> list[Retention]:
    """Return the curve of every run of a chain but the last, in the order in which the runs were compared."""
    curves = []
    for chain, followed in zip(compared.comparisons.chains, compared.chains, strict=True):
        names = [runs[place].manifest.run for place in chain.places]
        for place, name in enumerate(names[:-1]):
            addresses = int(followed.later[place, place])
            alive = followed.later[place, place + 1 :].tolist()
            throughout = followed.throughout[place, place + 1 :].tolist()
            curves.append(
                Retention(
                    run=name,
                    later=names[place + 1 :],
                    targets=chain.shared.targets,
                    addresses=addresses,
                    alive=alive,
                    share=[share(number, addresses) for number in alive],
                    throughout=throughout,
                    throughout_share=[share(number, addresses) for number in throughout],
                )
            )
    return curves


TITLE: Final = "Retention: alive in later runs"


def by_chain(curves: Sequence[Retention]) -> dict[str, list[Retention]]:
    """Return the curves of each chain of runs together, under its title: of several it names the census."""
    chains: list[list[Retention]] = []
    for curve in curves:
        follows = bool(chains) and chains[-1][-1].later[:1] in ([curve.run], [])
        if follows:
            chains[-1].append(curve)
        else:
            chains.append([curve])
    if len(chains) == 1:
        return {TITLE: chains[0]}
    return {f"{TITLE} of {chain[0].run.partition('/')[0]}": chain for chain in chains}
