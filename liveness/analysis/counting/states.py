"""The states of a run: the number of addresses in each, and selections of states."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.layout import PRIMARY, Bit, Layout
from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.run import ACTIVITY, FAMILIES, REPLIES, family_probes, port_of, probes_of
from liveness.analysis.counting.scope import Within
from liveness.analysis.sampling import Clusters, Sampling
from liveness.replies import CONTROL, Kind
from liveness.runs.manifest import Manifest

T = TypeVar("T")

Chosen = NDArray[np.bool_]
"""Whether each state is chosen: combine with ``&``, ``|`` and ``~``."""


@dataclass(frozen=True, slots=True, eq=False)
class RunStates:
    """Every address of a run is in one state, and every number of the analysis counts the addresses of some states.

    Addresses are sources of replies unless a name says otherwise (Bano et al. 2018, section 4).
    """

    manifest: Manifest
    layout: Layout
    states: NDArray[np.uint64]
    """Shape (states, words): the bits of each state, in the places of `layout`."""
    counts: NDArray[np.int64]
    """The number of addresses in each state."""
    prefixes24: NDArray[np.int64]
    """/24s by the set of families that found any of their addresses: bit f of the index for FAMILIES[f]."""
    within: Within | None = None
    """The part of the address space that was counted, None for all of it."""
    targets: int | None = None
    """The number of targets in that part; None if it is not known."""
    opted_out: int = 0
    """The number of targets that have opted out since the run began."""
    alive24: NDArray[np.uint16] | None = None
    """By /24 (address >> 8), the number of addresses that any family found; None unless the scope requests it."""
    probed24: NDArray[np.bool_] | None = None
    """By /24, whether any target was in it, for `alive24`; None if the run does not record it."""
    partition: Partition | None = None
    slice_counts: NDArray[np.int64] | None = None
    """By slice of the partition and column (`slicing.py`)."""
    sampling: Sampling = field(default_factory=lambda: Sampling("census"))
    """Whether the targets are a random sample."""
    clusters: Clusters | None = None
    """Activity by /24 if they are, otherwise None."""
    slice_targets: NDArray[np.int64] | None = None
    """By slice of the partition, the number of targets in it; None if the run does not record it."""
    probes: tuple[str, ...] = field(init=False)
    """The service probes, in the order of the config."""

    _values: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "probes", probes_of(self.manifest))

    def value(self, name: str, compute: Callable[["RunStates"], T]) -> T:
        """Return the result of `compute` for this run; it is computed once per name."""
        if name not in self._values:
            self._values[name] = compute(self)
        found: T = self._values[name]
        return found

    @property
    def has_control(self) -> bool:
        """Whether the control probe was sent."""
        probed = {*self.manifest.probes, *(entry.probe for entry in self.manifest.sets)}
        return CONTROL in probed or self.manifest.control_port is not None

    @property
    def tcp_ports(self) -> tuple[int, ...]:
        """The TCP service ports that were probed, in the order of the config."""
        return tuple(port_of(probe) for probe in self.family_probes("tcp"))

    def family_probes(self, family: str) -> tuple[str, ...]:
        """Return the service probes of a family, in the order of the config."""
        return family_probes(self.probes, family)

    def count(self, chosen: Chosen) -> int:
        """Return the number of addresses in these states."""
        return int(self.counts[chosen].sum())

    def having(self, bits: Iterable[Bit]) -> Chosen:
        """Return the states with any of these bits."""
        mask = self.layout.word_mask(bits, self.states.shape[1])
        chosen: Chosen = np.any(self.states & mask, axis=1)
        return chosen

    def sent(self, probes: Iterable[str], kinds: Collection[Kind]) -> Chosen:
        """Return the states of addresses that sent a reply of any of these kinds to any of these probes."""
        return self.having([(probe, kind.label) for probe in probes for kind in kinds])

    def sent_category(self, family: str, category: str) -> Chosen:
        """Return the states of addresses that sent an error of a category to any probe of a family."""
        return self.having([(family, category)])

    def sent_primary(self) -> Chosen:
        """Return the states of addresses that sent an error about a service probe to themselves."""
        return self.having([PRIMARY])

    def everything(self) -> Chosen:
        """Return the states of sources of any accepted reply to any probe, including the control probe."""
        return self.sent((*self.probes, CONTROL), tuple(Kind))

    def replies(self, family: str) -> Chosen:
        """Return the states of sources of a family's replies other than errors; for UDP valid answers only."""
        return self.sent(self.family_probes(family), REPLIES)

    def errors(self, family: str) -> Chosen:
        """Return the states of sources of ICMP errors, of any captured type, to a family's probes."""
        return self.sent(self.family_probes(family), (Kind.ERROR,))

    def network_alive(self, family: str) -> Chosen:
        """Return the states of ICMP_nw, TCP_nw or UDP_nw of the paper: sources of the family's replies and errors."""
        return self.sent(self.family_probes(family), (*REPLIES, Kind.ERROR))

    def all_addresses(self) -> Chosen:
        """Return the states of IPall of the paper: the union of ICMP_nw, TCP_nw and UDP_nw."""
        return self.sent(self.probes, (*REPLIES, Kind.ERROR))

    def activity(self, probe: str, *, with_errors: bool) -> Chosen:
        """Return the states active for a probe: echo reply; SYN-ACK or RST; answer or payload; or errors, if wanted."""
        return self.sent((probe,), (*ACTIVITY, Kind.ERROR) if with_errors else ACTIVITY)

    def syn_ack(self, port: int) -> Chosen:
        """Return the states of addresses that are alive on a port: they sent a SYN-ACK from it."""
        return self.sent((f"tcp/{port}",), (Kind.SYN_ACK,))

    def rst(self, port: int) -> Chosen:
        """Return the states of addresses that sent an RST from a port."""
        return self.sent((f"tcp/{port}",), (Kind.RST,))

    def families24(self) -> dict[str, NDArray[np.bool_]]:
        """Return for each family which entries of `prefixes24` count /24s that it found."""
        places = np.arange(len(self.prefixes24))
        return {family: (places >> bit) & 1 == 1 for bit, family in enumerate(FAMILIES)}
