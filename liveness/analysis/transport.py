"""Transport-layer liveness: how many ports an address answers on, and which (Bano et al. 2018, figures 4a and 4b)."""

from dataclasses import dataclass
from typing import Annotated

from pyroaring import BitMap

from liveness.analysis.result import Formula
from liveness.analysis.run import RunSets
from liveness.types import Kind


@dataclass(frozen=True, slots=True)
class PortsAnswered:
    """The transport-active addresses that answer on one number of ports, by what they sent from any of them."""

    syn_ack_only: Annotated[int, Formula("sent SYN-ACK alone, over the union of the ports")]
    rst_only: Annotated[int, Formula("sent RST alone")]
    both: Annotated[int, Formula("sent SYN-ACK and RST")]

    @property
    def total(self) -> int:
        """Every address that answers on this number of ports."""
        return self.syn_ack_only + self.rst_only + self.both


@dataclass(frozen=True, slots=True)
class PortActivity:
    """What one port shows."""

    active: Annotated[int, Formula("SYN-ACK or RST on this port")]
    alive: Annotated[int, Formula("SYN-ACK on this port")]
    exclusive: Annotated[int, Formula("active on this port and no other")]
    syn_ack_only: Annotated[int, Formula("SYN-ACK, no RST, on this port")]
    rst_only: Annotated[int, Formula("RST, no SYN-ACK, on this port")]
    both: Annotated[int, Formula("SYN-ACK and RST on this port")]


@dataclass(frozen=True, slots=True)
class Transport:
    """Transport-layer liveness of a run; keys are numbers of ports, and ports."""

    active: Annotated[int, Formula("SYN-ACK or RST on at least one TCP port")]
    alive: Annotated[int, Formula("SYN-ACK on at least one TCP port")]
    ports_answered: dict[int, PortsAnswered]
    ports: dict[int, PortActivity]


def transport(run: RunSets) -> Transport:
    """Count transport-active addresses, by the number of ports answered and by port."""
    tcp = run.family_probes("tcp")
    active = {port: run.union((f"tcp/{port}",), (Kind.SYN_ACK, Kind.RST)) for port in run.tcp_ports}
    return Transport(
        active=len(run.union(tcp, (Kind.SYN_ACK, Kind.RST))),
        alive=len(run.union(tcp, (Kind.SYN_ACK,))),
        ports_answered=_ports_answered(run, active),
        ports={port: _port(run, port, active) for port in run.tcp_ports},
    )


def _ports_answered(run: RunSets, active: dict[int, BitMap]) -> dict[int, PortsAnswered]:
    """Count addresses by how many ports they are active on, from 1 to all of them."""
    tcp = run.family_probes("tcp")
    syn_ack, rst = run.union(tcp, (Kind.SYN_ACK,)), run.union(tcp, (Kind.RST,))
    result = {}
    for number, members in enumerate(_exactly(list(active.values())), start=1):
        alive, reset = members & syn_ack, members & rst
        result[number] = PortsAnswered(
            syn_ack_only=alive.difference_cardinality(reset),
            rst_only=reset.difference_cardinality(alive),
            both=alive.intersection_cardinality(reset),
        )
    return result


def _exactly(sets: list[BitMap]) -> list[BitMap]:
    """Return, for k = 1, 2, ... the number of sets, the members of exactly k of them."""
    at_least = [BitMap.union(BitMap(), *sets), *(BitMap() for _ in sets), BitMap()]  # at_least[k]: in k sets or more
    for members in sets:
        for number in range(len(sets), 0, -1):  # from the top, or one set would count twice
            at_least[number] |= at_least[number - 1] & members
    return [at_least[number] - at_least[number + 1] for number in range(1, len(sets) + 1)]


def _port(run: RunSets, port: int, active: dict[int, BitMap]) -> PortActivity:
    """Count what one port shows."""
    syn_ack, rst = run.syn_ack(port), run.rst(port)
    others = BitMap.union(BitMap(), *(active[other] for other in active if other != port))
    return PortActivity(
        active=len(active[port]),
        alive=len(syn_ack),
        exclusive=active[port].difference_cardinality(others),
        syn_ack_only=syn_ack.difference_cardinality(rst),
        rst_only=rst.difference_cardinality(syn_ack),
        both=syn_ack.intersection_cardinality(rst),
    )
