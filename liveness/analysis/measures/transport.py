"""Transport-layer liveness: how many ports an address answers on, and which (Bano et al. 2018, figures 4a and 4b)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.states import Chosen, RunStates
from liveness.analysis.formula import Formula
from liveness.replies import Kind


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


def transport(run: RunStates) -> Transport:
    """Count transport-active addresses, by the number of ports answered and by port."""
    active = {port: run.syn_ack(port) | run.rst(port) for port in run.tcp_ports}
    number = np.sum([np.zeros(len(run.counts), np.int64), *active.values()], axis=0)  # of ports that each answers on
    tcp = run.family_probes("tcp")
    syn_ack, rst = run.sent(tcp, (Kind.SYN_ACK,)), run.sent(tcp, (Kind.RST,))
    return Transport(
        active=run.count(number > 0),
        alive=run.count(syn_ack),
        ports_answered={
            ports: PortsAnswered(**_split(run, syn_ack, rst, number == ports)) for ports in range(1, len(active) + 1)
        },
        ports={port: _port(run, port, chosen, number) for port, chosen in active.items()},
    )


def _port(run: RunStates, port: int, active: Chosen, number: NDArray[np.int64]) -> PortActivity:
    """Count what one port shows."""
    syn_ack, rst = run.syn_ack(port), run.rst(port)
    return PortActivity(
        active=run.count(active),
        alive=run.count(syn_ack),
        exclusive=run.count(active & (number == 1)),
        **_split(run, syn_ack, rst, active),
    )


def _split(run: RunStates, syn_ack: Chosen, rst: Chosen, among: Chosen) -> dict[str, int]:
    """Count some of the active by what they sent."""
    return {
        "syn_ack_only": run.count(among & syn_ack & ~rst),
        "rst_only": run.count(among & rst & ~syn_ack),
        "both": run.count(among & syn_ack & rst),
    }
