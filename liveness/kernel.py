"""The one decorator of the compiled hot loops.

A kernel is a plain Python function over numpy arrays and numbers, compiled by Numba on first call and cached on disk.
With ``NUMBA_DISABLE_JIT=1`` it runs as it is written, for coverage and fuzzing: arithmetic on ``np.uint64`` then wraps
as it does compiled, which numpy would report as an overflow, so that report is silenced there.
"""

import functools
import linecache
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba import config, typeof, types
from numba.core import cgutils
from numba.extending import intrinsic

from liveness.compiling.cache import KernelCache
from liveness.compiling.compiler import KernelDispatcher, ShownKernels
from liveness.compiling.folder import find_caches

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")

COMPILED: Final[bool] = not config.DISABLE_JIT  # Numba sets it as it is imported
_kernels: Final[list[KernelDispatcher]] = []
"""All that were made so far."""

uint64: Final = cast("Callable[[Any], int]", numba.uint64)
int64: Final = cast("Callable[[Any], int]", numba.int64)
"""Casts for kernels. Compiled or not, numbers of Python, numpy and Numba mix in them, so they are all typed as int."""


_cache: Final = KernelCache(find_caches() if COMPILED else None)
needs_compiling: Final = _cache.needs_compiling
mark_compiled: Final = _cache.mark_compiled
kept_in: Final = _cache.caches
"""Where what is compiled lies; None if it is kept nowhere."""
keeps_compiled: Final = _cache.writable
"""Whether what is compiled is found again later."""
if COMPILED:
    ShownKernels(once=keeps_compiled).__enter__()  # for as long as this process lives


def leave_cache() -> None:
    """Look into the cache no more, in a process that may not read its files: what is not loaded yet is compiled."""
    for compiled in _kernels:
        compiled.leave_cache()


def kernel(function: Callable[P, R], defined_in: str | None = None) -> Callable[P, R]:
    """Compile `function` with Numba (cached, without the GIL), or let it run as plain Python if compilation is off.

    `defined_in` is the file whose code generated the function, if it is in no file itself.

    A kernel becomes part of every kernel that calls it: handing on a dozen arrays costs more than what most kernels do
    with them, and only so are loops around small ones vectorised.
    """
    if COMPILED:
        compiled = KernelDispatcher(function)
        _cache.keep(compiled, function, defined_in)
        _kernels.append(compiled)
        return cast("Callable[P, R]", compiled)

    @functools.wraps(function)
    def plain(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore"):
            return function(*args, **kwargs)

    return plain


def compiled_for(function: Callable[P, R], *arguments: Any) -> Callable[P, R]:  # noqa: ANN401 - whatever a kernel takes
    """Return a kernel as it is compiled for the types of these arguments, which are all that it may be called with.

    A call of the kernel itself looks at the types of everything in its arguments first. Where these are tuples of
    dozens of arrays that takes several times as long as the rest of the call.
    """
    if not COMPILED:
        return function
    dispatcher = cast("Any", function)
    kinds = tuple(typeof(argument) for argument in arguments)
    return cast("Callable[P, R]", dispatcher.compile(kinds))


def chain(
    name: str, arguments: Sequence[str], functions: Mapping[int, Callable[..., Any]], defined_in: str
) -> Callable[..., Any]:
    """Return a kernel that takes a number and `arguments`, and calls the function of that number.

    Its source is made here, of numbers and names: a chain of comparisons whose last function takes every other number.
    `defined_in` is the file for which it is made, by whose imports the cache knows when it is outdated.
    """
    given = ", ".join(arguments)
    *branches, last = functions
    lines = [f"def {name}(number, {given}):"]
    for number in branches:
        lines += [f"    if number == {number}:", f"        return {name}_{number}({given})"]
    lines.append(f"    return {name}_{last}({given})")
    source, file = "\n".join(lines) + "\n", f"<dispatch of {name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)  # for tracebacks
    namespace: dict[str, Any] = {f"{name}_{number}": function for number, function in functions.items()}
    namespace["__name__"] = __name__
    exec(compile(source, file, "exec"), namespace)  # noqa: S102 - the source is made above, of numbers and names alone
    return kernel(namespace[name], defined_in=defined_in)


def _see(_context: Any, value: Any) -> Any:  # noqa: ANN401 - Numba's types and LLVM's values
    def see(context: Any, builder: Any, kind: Any, given: Any) -> Any:  # noqa: ANN401
        """Return what was given, without the memory that its arrays would count references to."""
        if isinstance(kind, types.BaseTuple):
            kinds = kind.types
            parts = cgutils.unpack_tuple(builder, given, len(kinds))
            seen = [see(context, builder, *each) for each in zip(kinds, parts, strict=True)]
            return context.make_tuple(builder, kind, seen)
        if not isinstance(kind, types.Array):
            return given
        view = cgutils.create_struct_proxy(kind)(context, builder, value=given)
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        view.parent = cgutils.get_null_value(view.parent.type)
        return view._getvalue()  # noqa: SLF001 - Numba's own way

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return see(context, builder, signature.args[0], arguments[0])

    return value(value), generate


def _order(_context: Any) -> Any:  # noqa: ANN401 - as above
    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:  # noqa: ANN401
        builder.fence("acq_rel")
        return context.get_dummy_value()

    return types.void(), generate


_ordered: Final[Any] = intrinsic(_order) if COMPILED else lambda: None


@kernel
def fence() -> None:
    """Let no load or store before this pass one after it, as other cores see them: release and acquire in one.

    What is written into a ring is then there before the index or status that hands it over; what is read out of it is
    read after the index or status that says it is there. The kernel's own side of each ring has such barriers too. A
    system call is none. On x86-64 only the compiler is held (its stores and loads keep these orders by themselves).
    """
    _ordered()


def _itself(value: A) -> A:
    return value


unowned: Final = cast("Callable[[A], A]", intrinsic(_see) if COMPILED else _itself)
"""Return an array, or a tuple with its arrays, seen without being owned: handed on, references are not counted.

Counting is atomic, and takes longer than the work on a packet. Whoever calls the kernel that does this must hold the
array meanwhile, as it holds what it gives as an argument.
"""
