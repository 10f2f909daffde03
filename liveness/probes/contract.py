"""The contract of a probe: what its file must define, and the check that it does.

A file defines DESCRIPTION and one function for each verb. All verbs but `template` are kernels. Addresses and ports are
numbers in host order, `hashed` is the cookie of target and probe, `numbers` the probe's record of NUMBERS_DTYPE, and
`row` what the parser found in the received frame (`packets/parse.py`).

| verb | does |
|---|---|
| template | returns the constant bytes of the probe's frame, zeros in every field that varies |
| fill | writes transport header and payload of one frame; the caller has written the IP header |
| match_reply | (ICMP, TCP) matches a reply that came to our address and from the probed port |
| match_quote | (ICMP, TCP) matches the start of a probe that an ICMP error quotes |
| datagram_checksum | (UDP) returns the checksum of a probe, by which a quoted probe proves its cookie |
| carries_cookie | (UDP) returns whether a received payload returns the cookie |
| is_answer | (UDP) returns whether a received payload is a valid answer of the protocol; the cookie is checked apart |
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from liveness.errors import LivenessError
from liveness.packets import headers as hdr
from liveness.probes.probe import Description, Probe

VERBS: Final[dict[str, tuple[str, ...]]] = {
    "template": ("link", "options", "port"),
    "fill": (
        "words",
        "frame",
        "target",
        "address_sum",
        "constant_sum",
        "hashed",
        "port",
        "attempt",
        "now_ns",
    ),
    "match_reply": ("frame", "row", "time_ns", "numbers", "reply"),
    "match_quote": ("frame", "row", "hashed", "numbers", "reply"),
    "datagram_checksum": ("address_sum", "constant_sum", "hashed", "port"),
    "carries_cookie": ("frame", "row", "hashed"),
    "is_answer": ("frame", "row"),
}
"""The arguments of every verb, by position; a name may begin with an underscore where the probe does not need it."""

_FRAMES: Final = ("template", "fill")
_OWN_REPLIES: Final = (*_FRAMES, "match_reply", "match_quote")
_DATAGRAMS: Final = (*_FRAMES, "datagram_checksum", "carries_cookie", "is_answer")
VERBS_OF_PROTOCOL: Final = {
    hdr.PROTOCOL_ICMP: _OWN_REPLIES,
    hdr.PROTOCOL_TCP: _OWN_REPLIES,
    hdr.PROTOCOL_UDP: _DATAGRAMS,
}
"""What a probe of a protocol must define. UDP probes share the matching of `udp.py` and add three verbs to it."""


class ContractError(LivenessError):
    """A probe's file does not define what the contract demands: a mistake of its author."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a probe's file defines: its description and its verbs by name."""

    method: str
    description: Description
    verbs: dict[str, Callable[..., Any]]

    def probe(self, name: str, number: int, port: int | None) -> Probe:
        """Return the probe of a name; `port` is the one in the name, if there is one."""
        return Probe(name, self.method, number, self.description.port or port or 0, self.description)


def define(name: str, module: ModuleType) -> Definition:
    """Return what a file defines for the probe of a name; ContractError says what is missing or wrong."""
    place = f"probe {name!r} ({module.__name__})"
    description = getattr(module, "DESCRIPTION", None)
    if not isinstance(description, Description):
        raise ContractError(f"{place}: DESCRIPTION is missing: see liveness/probes/contract.py")
    if description.protocol not in VERBS_OF_PROTOCOL:
        raise ContractError(f"{place}: DESCRIPTION.protocol: {description.protocol}: expected ICMP, TCP or UDP")
    verbs = {}
    for verb in VERBS_OF_PROTOCOL[description.protocol]:
        function = getattr(module, verb, None)
        if not callable(function):
            raise ContractError(f"{place}: verb {verb!r} is missing: see liveness/probes/contract.py")
        arguments = tuple(inspect.signature(getattr(function, "py_func", function)).parameters)
        if tuple(argument.removeprefix("_") for argument in arguments) != VERBS[verb]:
            raise ContractError(f"{place}: verb {verb!r} takes ({', '.join(arguments)}): expected {VERBS[verb]}")
        verbs[verb] = function
    return Definition(module.__name__.rpartition(".")[2], description, verbs)
