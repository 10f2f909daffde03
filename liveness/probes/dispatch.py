"""Dispatch: one kernel for each verb of the contract, which calls that of the probe's file.

The source of these kernels is made from the registry when this module is imported: a chain of comparisons with the
number of each file, whose functions are global names of it. So everything is known when a kernel is compiled, and a
probe costs one comparison.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final, cast

from liveness.kernel import chain, kernel
from liveness.probes.contract import VERBS, Definition
from liveness.probes.registry import ENTRIES, definition_of

DEFINITIONS: Final[tuple[Definition, ...]] = tuple(definition_of(entry) for entry in ENTRIES)
"""What each file defines, in the order of the registry."""


def verbs_by_number(verb: str) -> dict[int, Callable[..., Any]]:
    """Return the functions of a verb by the number of their file, those files left out that need none."""
    return {number: definition.verbs[verb] for number, definition in enumerate(DEFINITIONS) if verb in definition.verbs}


def specialised(function: Callable[..., Any], verb: str) -> dict[int, Callable[..., Any]]:
    """Return a kernel for each probe's file: `function`, in which the name of the verb means the verb of that file.

    A loop over frames is compiled for each file then, and compares nothing inside.
    """
    original = cast("FunctionType", function)
    kernels = {}
    for number, meaning in verbs_by_number(verb).items():
        name = f"{original.__name__}_{number}"
        copy = FunctionType(original.__code__, {**original.__globals__, verb: meaning}, name)
        copy.__qualname__ = name  # by which the cache finds it
        kernels[number] = kernel(copy)
    return kernels


def dispatched(verb: str) -> Callable[..., Any]:
    """Return the kernel of a verb, which takes the number of a probe's file and then the verb's arguments."""
    return chain(verb, VERBS[verb], verbs_by_number(verb), __file__)


match_reply: Final = dispatched("match_reply")
match_quote: Final = dispatched("match_quote")
datagram_checksum: Final = dispatched("datagram_checksum")
carries_cookie: Final = dispatched("carries_cookie")
is_answer: Final = dispatched("is_answer")
