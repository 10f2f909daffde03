"""The view of a population from one place: the truth of a run that was sent from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.origin.hidden import hidden_of


@dataclass(frozen=True, slots=True)
class View:
    """A place by its number, and which of its runs it is, counted from 0."""

    place: int
    run: int

    def hidden(self, tables: NDArray[np.uint64], addresses: NDArray[np.uint32], probe: int) -> NDArray[np.bool_]:
        """Return for each address whether it does not answer probe number `probe` of this run."""
        out = np.empty(len(addresses), np.bool_)
        hidden_of(tables, self.place, self.run, addresses, probe, out)
        return out
