"""The one decorator of the compiled hot loops.

A kernel is a plain Python function over numpy arrays and numbers, compiled by Numba on first call and cached on disk.
With
``NUMBA_DISABLE_JIT=1`` it runs as it is written, for coverage and fuzzing: arithmetic on ``np.uint64`` then wraps as it
does compiled, which numpy would report as an overflow, so that report is silenced there.
"""

import functools
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba import config, njit

P = ParamSpec("P")
R = TypeVar("R")

COMPILED: Final[bool] = not config.DISABLE_JIT  # type: ignore[attr-defined]  # Numba sets it as it is imported

uint64: Final = cast("Callable[[Any], int]", numba.uint64)
int64: Final = cast("Callable[[Any], int]", numba.int64)
"""Casts for kernels. Compiled or not, numbers of Python, numpy and Numba mix in them, so they are all typed as int."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba (cached, without the GIL), or let it run as plain Python if compilation is off."""
    if COMPILED:
        compiled: Callable[P, R] = njit(cache=True, nogil=True)(function)
        return compiled

    @functools.wraps(function)
    def plain(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore"):
            return function(*args, **kwargs)

    return plain
