"""The rows of answers of a population: every distinct way in which its addresses answer."""

from dataclasses import dataclass

from liveness.lab.model.population.answer import (
    BYTE_MASK,
    CONTROL_TCP,
    ERROR,
    FROM_ROUTER,
    PROBES,
    SILENT,
    TYPE_SHIFT,
    WHAT_MASK,
)
from liveness.lab.model.population.model import Model
from liveness.lab.model.population.words import family_of, packed
from liveness.lab.twins.dispatch import modelled

Answers = tuple[int, ...]
"""Packed answers in the order of PROBES."""

SILENCE: Answers = (SILENT,) * len(PROBES)


@dataclass(frozen=True, slots=True)
class Row:
    """One way to answer; `answer.row_of` returns the number of a row."""

    name: str
    kind: str
    answers: Answers
    """Replies to probes of such an address, from any sender."""
    router_answers: Answers = SILENCE
    """Errors that such an address, a gateway, sends about others."""

    @property
    def own(self) -> Answers:
        """The replies that such an address sends about itself."""
        return tuple(SILENT if answer & FROM_ROUTER else answer for answer in self.answers)

    def answers_family(self, family: int) -> bool:
        """Return whether the address sends a reply that makes it network-alive by a family (0 ICMP, 1 TCP, 2 UDP).

        Payloads that are not valid answers do not count, nor do the control probe and probes without a word in the
        file.
        """
        return any(
            family_of(probe) == family and (answer & WHAT_MASK) not in (SILENT, 3)
            for answers in (self.own, self.router_answers)
            for probe, answer in enumerate(answers[:CONTROL_TCP])
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of a population, in the order of their numbers: silence, hosts, tarpits, gaps, gateways."""

    rows: tuple[Row, ...]
    hosts: int
    tarpits: int
    gaps: int
    routers: int

    @property
    def at_tarpits(self) -> int:
        """The number of the first row of tarpits."""
        return 1 + self.hosts

    @property
    def at_gaps(self) -> int:
        """The number of the first row of unused addresses for which a gateway answers."""
        return self.at_tarpits + self.tarpits

    @property
    def at_gateways(self) -> int:
        """The number of the first row of gateways: those of the first gap, then those of the second and so on."""
        return self.at_gaps + self.gaps


def host_weights(model: Model) -> list[float]:
    """Return the weight of each row of hosts: a profile is one row, or two if a part of it ignores echo requests."""
    weights: list[float] = []
    for profile in model.profiles:
        if profile.no_echo < 1:
            weights.append(profile.weight * (1 - profile.no_echo))
        if profile.no_echo > 0:
            weights.append(profile.weight * profile.no_echo)
    return weights


def rows_of_model(model: Model) -> Rows:
    """Return the rows of a checked model."""
    hosts: list[Row] = []
    for profile in model.profiles:
        answers = modelled(profile.kind, packed(profile.answers))
        if profile.no_echo < 1:
            hosts.append(Row(profile.name, profile.kind, answers))
        if profile.no_echo > 0:
            hosts.append(Row(f"{profile.name}, no echo", profile.kind, (SILENT, *answers[1:])))
    tarpits = [Row("tarpit", "tarpit", modelled("tarpit", packed(tarpit.answers))) for tarpit in model.tarpits.answers]
    modelled_answers = [modelled("unused", packed(gap.answers)) for gap in model.gateways.gaps]
    gaps = [Row("unused", "unused", tuple(from_router(answer) for answer in answers)) for answers in modelled_answers]
    gateways = [
        Row(router.name, "gateway", modelled("gateway", packed(router.answers)), router_answers=answers)
        for answers in modelled_answers
        for router in model.gateways.routers
    ]
    rows = (Row("silent", "silent", SILENCE), *hosts, *tarpits, *gaps, *gateways)
    return Rows(rows, len(hosts), len(tarpits), len(gaps), len(model.gateways.routers))


def from_router(answer: int) -> int:
    """Return an answer, marked as that of a router if it is an error."""
    return answer | FROM_ROUTER if answer & WHAT_MASK == ERROR else answer


def is_error(answer: int, icmp_type: int | None = None) -> bool:
    """Return whether a packed answer is an ICMP error (of this type)."""
    return answer & WHAT_MASK == ERROR and (icmp_type is None or answer >> TYPE_SHIFT & BYTE_MASK == icmp_type)
