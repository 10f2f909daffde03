"""The registry of twins: name, port and module of each UDP probe's twin.

ICMP and TCP have no twin: the kernels of the lab's hosts answer them, and the model treats all ports alike. A twin's
module is imported only when it is needed, since a process that enters a lab must not start threads.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

from liveness.errors import LivenessError


@dataclass(frozen=True, slots=True)
class Twin:
    """One entry of the registry; `tcp` is true if a host that answers listens on the port over TCP as well."""

    name: str
    module: str
    port: int
    tcp: bool = False


TWINS: Final = (
    Twin("dns", "dns", port=53, tcp=True),
    Twin("ntp", "ntp", port=123),
    Twin("udp/1900", "ssdp", port=1900),
    Twin("snmp", "snmp", port=161),
)
"""The twin of every UDP probe."""

VERBS: Final = ("respond", "modelled", "is_request", "answer", "nonsense", "VERDICT")
"""Names that a twin's module must define.

`respond(request)` is the real server: it takes the bytes of a request and returns those of a reply, None for no
reply. `modelled(kind, answers)` returns the answer of hosts of a kind in a population to this probe, given their
packed answers to the first nine (`model/population/answer.py`), for twins without a word in a population file. The
others are kernels: `is_request(frame, at, end)` returns whether frame[at:end] is what a correct scanner sends, and
VERDICT is the verdict if not. `answer(out, at, frame, request, request_end)` writes a valid answer to the request in
frame[request:request_end] to out[at:], and `nonsense(out, at, frame, request, request_end, target)` a payload that is
not a valid answer; both return the index after its end.
"""


class TwinError(LivenessError):
    """Error of a twin's module that lacks a required name."""


def twin_named(name: str) -> Twin | None:
    """Return the twin of a probe, None if it has none."""
    return next((twin for twin in TWINS if twin.name == name), None)


@cache
def file_of(twin: Twin) -> ModuleType:
    """Return the module of a twin; TwinError names what it lacks."""
    module = import_module(f"liveness.lab.twins.{twin.module}")
    for verb in VERBS:
        if not hasattr(module, verb):
            raise TwinError(f"twin of probe {twin.name!r} ({module.__name__}): {verb!r} is missing: see {__name__}")
    return module
