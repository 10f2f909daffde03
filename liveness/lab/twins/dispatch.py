"""Dispatch in the model Internet: one kernel for each function of a twin, by the number of the probe."""

from typing import Final

import numpy as np

from liveness.kernel import chain, int64, kernel
from liveness.lab.model.population.answer import PROBES
from liveness.lab.twins.registry import TWINS, file_of

FILES: Final = {PROBES.index(twin.name): file_of(twin) for twin in TWINS}
"""The modules of all twins by the number of their probe."""

_PORTS: Final = np.array([twin.port for twin in TWINS], np.int64)
_NUMBERS: Final = np.array(list(FILES), np.int64)
_VERDICTS: Final = np.array([int(file.VERDICT) for file in FILES.values()], np.int64)
NO_PROBE: Final = -1


is_request: Final = chain(
    "is_request", ("frame", "at", "end"), {number: file.is_request for number, file in FILES.items()}, __file__
)
answer: Final = chain(
    "answer",
    ("out", "at", "frame", "request", "request_end"),
    {number: file.answer for number, file in FILES.items()},
    __file__,
)
nonsense: Final = chain(
    "nonsense",
    ("out", "at", "frame", "request", "request_end", "target"),
    {number: file.nonsense for number, file in FILES.items()},
    __file__,
)


@kernel
def number_of_port(port: int) -> int:
    """Return the number of the UDP probe to a port, NO_PROBE if there is none."""
    for i in range(len(_PORTS)):
        if _PORTS[i] == port:
            return int64(_NUMBERS[i])
    return NO_PROBE


@kernel
def is_udp(number: int) -> bool:
    """Return whether a probe has a twin."""
    for i in range(len(_NUMBERS)):  # noqa: SIM110 - a plain loop compiles
        if _NUMBERS[i] == number:
            return True
    return False


@kernel
def verdict_of(number: int) -> int:
    """Return the verdict on a datagram that is sent to the port of a probe but is not its request."""
    for i in range(len(_NUMBERS)):
        if _NUMBERS[i] == number:
            return int64(_VERDICTS[i])
    return NO_PROBE


def modelled(kind: str, answers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the packed answers of hosts of a kind to every probe, given those to the probes with words."""
    return (*answers, *(file.modelled(kind, answers) for number, file in FILES.items() if number >= len(answers)))
