"""The registry of twins: one line for each UDP probe, with its name, port and file.

ICMP and TCP have no twin: the kernels of the lab's hosts answer them, and every port of the model alike. Nothing here
imports a twin's file before it is needed, since a process that enters a lab must not start threads.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

from liveness.errors import LivenessError


@dataclass(frozen=True, slots=True)
class Twin:
    """One line of the registry; `tcp` says whether a host that answers listens on the port over TCP as well."""

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
"""What a twin's file must define.

`respond(request)` is the real server: from the bytes of a request to those of a reply, None for silence.
`modelled(kind, answers)` says how hosts of a kind in a population answer this probe, from their packed answers to the
first nine (`model/population/answer.py`), for twins that a population file has no word for. The others are kernels:
`is_request(frame, at, end)` tells whether frame[at:end] is what a correct scanner sends, VERDICT names what it is if
not, `answer(out, at, frame, asked, asked_end)` writes a valid answer to the request in frame[asked:asked_end] to
out[at:] and `nonsense(out, at, frame, asked, asked_end, target)` a payload that is none; both return where it ends.
"""


class TwinError(LivenessError):
    """A twin's file does not define what it must."""


def twin_named(name: str) -> Twin | None:
    """Return the twin of a probe, None where there is none."""
    return next((twin for twin in TWINS if twin.name == name), None)


@cache
def file_of(twin: Twin) -> ModuleType:
    """Return the file of a twin as a module; TwinError names what it lacks."""
    module = import_module(f"liveness.lab.twins.{twin.module}")
    for verb in VERBS:
        if not hasattr(module, verb):
            raise TwinError(f"twin of probe {twin.name!r} ({module.__name__}): {verb!r} is missing: see {__name__}")
    return module
