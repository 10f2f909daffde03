"""The one decorator of the compiled hot loops.

A kernel is a plain Python function over numpy arrays and numbers, compiled by Numba on first call and cached on disk.
With ``NUMBA_DISABLE_JIT=1`` it runs as it is written, for coverage and fuzzing: arithmetic on ``np.uint64`` then wraps
as it does compiled, which numpy would report as an overflow, so that report is silenced there.
"""

import functools
import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numba import config, njit, types
from numba.core import cgutils
from numba.core.caching import NullCache
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")

COMPILED: Final[bool] = not config.DISABLE_JIT  # type: ignore[attr-defined]  # Numba sets it as it is imported
KEPT_CACHES: Final = 4
_COMPILED_MARK: Final = "compiled"
_kernels: Final[list[Any]] = []
"""All that were made so far."""

uint64: Final = cast("Callable[[Any], int]", numba.uint64)
int64: Final = cast("Callable[[Any], int]", numba.int64)
"""Casts for kernels. Compiled or not, numbers of Python, numpy and Numba mix in them, so they are all typed as int."""


def source_digest(package: Path) -> str:
    """Return a digest of where the package's source files lie, how large they are and when they were changed."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        state = path.stat()
        digest.update(f"{path}|{state.st_size}|{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _cache_directory() -> Path | None:
    """Return a directory for compiled kernels that no other state of the sources shares; None if none can be written.

    Numba's own cache asks only whether the file of a kernel has changed, not those of the kernels it calls: after an
    update it would run new and old code together.
    """
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    caches = Path(os.environ.get("NUMBA_CACHE_DIR") or home) / "liveness-kernels"
    directory = caches / source_digest(Path(__file__).parent)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK):
            return None
    except OSError:
        return None
    with suppress(OSError):  # another process may be tidying up too
        os.utime(directory)
        for outdated in sorted(caches.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT_CACHES]:
            shutil.rmtree(outdated, ignore_errors=True)
    return directory


_CACHE: Final = _cache_directory() if COMPILED else None
if _CACHE is not None:
    config.CACHE_DIR = str(_CACHE)  # type: ignore[attr-defined]  # as above


def needs_compiling() -> bool:
    """Return whether kernels of these sources are compiled here for the first time, to be found in the cache later."""
    return _CACHE is not None and not (_CACHE / _COMPILED_MARK).exists()


def mark_compiled() -> None:
    """Note that the cache holds the kernels."""
    if _CACHE is not None:
        (_CACHE / _COMPILED_MARK).touch()


def leave_cache() -> None:
    """Look into the cache no more, in a process that may not read its files: what is not loaded yet is compiled."""
    for one in _kernels:
        one._cache = NullCache()  # noqa: SLF001 - Numba has no other way back


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba (cached, without the GIL), or let it run as plain Python if compilation is off.

    A kernel becomes part of every kernel that calls it (LLVM's alwaysinline): handing on a dozen arrays costs more than
    what most kernels do with them, and only so are loops around small ones vectorised.
    """
    if COMPILED:
        compiled: Callable[P, R] = njit(cache=_CACHE is not None, nogil=True, forceinline=True)(function)
        _kernels.append(compiled)
        return compiled

    @functools.wraps(function)
    def plain(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(over="ignore"):
            return function(*args, **kwargs)

    return plain


def _see(_context: Any, value: Any) -> Any:  # noqa: ANN401 - Numba's types and LLVM's values
    def see(context: Any, builder: Any, kind: Any, given: Any) -> Any:  # noqa: ANN401
        """Return what was given, without the memory that its arrays would count references to."""
        if isinstance(kind, types.BaseTuple):
            kinds = kind.types  # type: ignore[attr-defined]  # of those that kernels get
            parts = cgutils.unpack_tuple(builder, given, len(kinds))  # type: ignore[no-untyped-call]
            seen = [see(context, builder, *each) for each in zip(kinds, parts, strict=True)]
            return context.make_tuple(builder, kind, seen)
        if not isinstance(kind, types.Array):
            return given
        view = cgutils.create_struct_proxy(kind)(context, builder, value=given)  # type: ignore[no-untyped-call]
        view.meminfo = cgutils.get_null_value(view.meminfo.type)  # type: ignore[no-untyped-call]
        view.parent = cgutils.get_null_value(view.parent.type)  # type: ignore[no-untyped-call]
        return view._getvalue()  # noqa: SLF001 - Numba's own way

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return see(context, builder, signature.args[0], arguments[0])

    return value(value), generate


def _itself(value: A) -> A:
    return value


unowned: Final = cast("Callable[[A], A]", intrinsic(_see) if COMPILED else _itself)
"""Return an array, or a tuple with its arrays, seen without being owned: handed on, references are not counted.

Counting is atomic, and takes longer than the work on a packet. Whoever calls the kernel that does this must hold the
array meanwhile, as it holds what it gives as an argument.
"""
