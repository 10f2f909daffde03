"""The meaning of each row of answers for the analysis, by source, as Bano et al. 2018 count."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.population.answer import ANSWERED, BOTH, CONTROL_TCP, ERROR, ICMP, PROBES, RESET, WHAT_MASK
from liveness.lab.model.population.rows import Rows
from liveness.lab.model.population.words import error_of, family_of

Chosen = NDArray[np.bool_]
"""Whether each row is chosen."""

FAMILY_PROBES: Final = tuple(
    tuple(probe for probe in range(CONTROL_TCP) if family_of(probe) == family) for family in range(3)
)
"""The service probes of ICMP, TCP and UDP, by number."""

CATEGORIES: Final = ("port", "host", "other_unreachable", "other")


def category_of(icmp_type: int, icmp_code: int) -> int:
    """Return the paper's category of an error (figure 3b), as an index in CATEGORIES."""
    if icmp_type != 3:  # noqa: PLR2004 - destination unreachable, RFC 792
        return 3
    return {3: 0, 1: 1}.get(icmp_code, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Properties of rows in terms of the analysis. Errors count for their sender: a gateway has those about others."""

    what: NDArray[np.int64]
    """Shape (rows, probes): the answers without type and code that an address sends about itself."""
    errors: NDArray[np.bool_]
    """Shape (rows, families, categories): whether the address sends such errors about any target."""

    @classmethod
    def of(cls, rows: Rows) -> "Features":
        """Return the features of a population's rows."""
        what = np.zeros((len(rows.rows), len(PROBES)), np.int64)
        errors = np.zeros((len(rows.rows), 3, len(CATEGORIES)), np.bool_)
        for index, row in enumerate(rows.rows):
            what[index] = [answer & WHAT_MASK for answer in row.own]
            for answers in (row.own, row.router_answers):
                for probe, answer in enumerate(answers[:CONTROL_TCP]):
                    if answer & WHAT_MASK == ERROR:
                        errors[index, family_of(probe), category_of(*error_of(answer))] = True
        return cls(what, errors)

    def sends(self, probes: Iterable[int], *answers: int) -> Chosen:
        """Return the rows that answer any of these probes in any of these ways."""
        chosen: Chosen = np.any(np.isin(self.what[:, list(probes)], answers), axis=1)
        return chosen

    def alive(self, family: int) -> Chosen:
        """Return the rows that are network-alive by a family: ICMP_nw, TCP_nw, UDP_nw."""
        return self.replies(family) | self.sends_errors(family)

    def replies(self, family: int) -> Chosen:
        """Return the rows that send replies other than errors to a family; for UDP valid answers only."""
        ways = (ANSWERED, RESET, BOTH) if family == 1 else (ANSWERED,)
        return self.sends(FAMILY_PROBES[family], *ways)

    def sends_errors(self, family: int) -> Chosen:
        """Return the rows that send errors about probes of a family."""
        chosen: Chosen = np.any(self.errors[:, family], axis=1)
        return chosen

    def positive(self) -> Chosen:
        """Return the rows that send an echo reply, a SYN-ACK or a valid answer to a service probe."""
        return self.sends((ICMP,), ANSWERED) | self.sends(FAMILY_PROBES[1], ANSWERED, BOTH) | self.replies(2)
