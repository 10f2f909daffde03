"""The taxonomy of liveness: how many addresses are alive or active at each layer (Bano et al. 2018, figure 1)."""

from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula
from liveness.replies import Kind


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Addresses by layer."""

    network_alive: Annotated[int, Formula("sources of any accepted reply to any probe, control included")]
    transport_active: Annotated[int, Formula("SYN-ACK or RST on at least one TCP port")]
    transport_alive: Annotated[int, Formula("SYN-ACK on at least one TCP port")]
    application_active: Annotated[int, Formula("a UDP payload, valid answer or not")]
    application_alive: Annotated[int, Formula("a valid UDP answer")]


def taxonomy(run: RunStates) -> Taxonomy:
    """Count the addresses of a run at each layer."""
    tcp, udp = run.family_probes("tcp"), run.family_probes("udp")
    return Taxonomy(
        network_alive=run.count(run.everything()),
        transport_active=run.count(run.sent(tcp, (Kind.SYN_ACK, Kind.RST))),
        transport_alive=run.count(run.sent(tcp, (Kind.SYN_ACK,))),
        application_active=run.count(run.sent(udp, (Kind.ANSWER, Kind.PAYLOAD))),
        application_alive=run.count(run.sent(udp, (Kind.ANSWER,))),
    )
