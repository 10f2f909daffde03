"""Coverage by the type of reply, a family at a time (Bano et al. 2018, figure 3a)."""

from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula


@dataclass(frozen=True, slots=True)
class ReplyTypes:
    """Addresses of one family by what they sent; the three are disjoint and add up to the family's total coverage."""

    reply_only: Annotated[int, Formula("sent replies (echo; SYN-ACK, RST; valid answers), no ICMP error")]
    error_only: Annotated[int, Formula("sent ICMP errors to the family's probes, no reply")]
    both: Annotated[int, Formula("sent replies and errors")]


def reply_types(run: RunStates) -> dict[str, ReplyTypes]:
    """Count the addresses of each family by what they sent."""
    result = {}
    for family in FAMILIES:
        replies, errors = run.replies(family), run.errors(family)
        result[family] = ReplyTypes(
            reply_only=run.count(replies & ~errors),
            error_only=run.count(errors & ~replies),
            both=run.count(replies & errors),
        )
    return result
