"""The error-only population: addresses that ICMP errors alone make visible (Bano et al. 2018, section 4.1)."""

from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.run import FAMILIES, REPLIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula
from liveness.replies import Kind


@dataclass(frozen=True, slots=True)
class ErrorOnly:
    """How many there are, and which probes reveal them; the families overlap."""

    all: Annotated[
        int, Formula("sources of ICMP errors that sent no echo reply, SYN-ACK, RST or valid answer to any probe")
    ]
    families: Annotated[dict[str, int], Formula("those of them that sent an error to a probe of this family")]


def error_only(run: RunStates) -> ErrorOnly:
    """Count the addresses that sent errors and, to no family's probe, any other reply."""
    addresses = run.sent(run.probes, (Kind.ERROR,)) & ~run.sent(run.probes, REPLIES)
    families = {family: run.count(addresses & run.errors(family)) for family in FAMILIES}
    return ErrorOnly(all=run.count(addresses), families=families)
