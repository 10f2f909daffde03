"""The contract of an application: what its file must define, and the check that it does.

| name | is |
|---|---|
| SAYS | a sentence: what is sent |
| ANSWER | a sentence: what counts as an answer |
| request | function of the contact text that returns the Request, an empty one if the server speaks first |
| is_answer | kernel of (frame, at, length): whether the data of a segment is the application's |

A segment is judged alone: nothing is reassembled.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from liveness.errors import LivenessError

_KERNEL: Final = ("frame", "at", "length")


class ContractError(LivenessError):
    """An application's file does not define what the contract demands: a mistake of its author."""


@dataclass(frozen=True, slots=True)
class Request:
    """The data that is sent: constant bytes, between which the target's address is written if `names_target`."""

    before: bytes = b""
    after: bytes = b""
    names_target: bool = False

    def text_for(self, address: str) -> bytes:
        """Return the data for a target, whose address is given in dotted form."""
        return self.before + (address.encode() if self.names_target else b"") + self.after


@dataclass(frozen=True, slots=True)
class Application:
    """What an application's file defines."""

    name: str
    says: str
    answer: str
    request: Callable[[str], Request]
    is_answer: Callable[..., Any]


def define(name: str, module: ModuleType) -> Application:
    """Return what a file defines for an application; ContractError says what is missing or wrong."""
    place = f"application {name!r} ({module.__name__})"
    for constant in ("SAYS", "ANSWER"):
        if not isinstance(getattr(module, constant, None), str):
            raise ContractError(f"{place}: {constant} is missing: see liveness/applications/contract.py")
    for function in ("request", "is_answer"):
        if not callable(getattr(module, function, None)):
            raise ContractError(f"{place}: {function!r} is missing: see liveness/applications/contract.py")
    judge = module.is_answer
    arguments = tuple(inspect.signature(getattr(judge, "py_func", judge)).parameters)
    if arguments != _KERNEL:
        raise ContractError(f"{place}: 'is_answer' takes ({', '.join(arguments)}): expected {_KERNEL}")
    return Application(name, module.SAYS, module.ANSWER, module.request, judge)
