"""Owns how a kernel is compiled: whole where Python calls it, as a part where another kernel does."""

from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any, Final

import numpy as np
from numba.core import event, sigutils
from numba.core.caching import NullCache
from numba.core.compiler import Compiler, CompileResult, Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import _FunctionCompiler  # type: ignore[attr-defined]
from numba.core.registry import CPUDispatcher
from numba.core.types import unliteral  # type: ignore[attr-defined]
from numpy.typing import NDArray

from liveness.compiling import display
from liveness.compiling.parts import PartLibrary, enter_part

_OPTIONS: Final = {"nopython": True, "nogil": True, "forceinline": True, "boundscheck": None, "no_cfunc_wrapper": True}
"""A kernel becomes part of every kernel that calls it (LLVM's alwaysinline), and C never calls one."""


class _KernelFlags(Flags):  # type: ignore[misc]  # Numba has no types
    """Flags of a compilation that are quickly compared: Numba does that thousands of times for a kernel."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, _KernelFlags) and bool(self._values == other._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values))


class _KernelCompiler(_FunctionCompiler):  # type: ignore[misc]  # Numba has no types
    """The compiler of one kernel, for whatever types it is called with."""

    as_part = False
    """Whether what is compiled now is to be a part."""

    def _compile_core(self, args: Any, return_type: Any) -> CompileResult:  # noqa: ANN401 - Numba's types
        """Compile the kernel for arguments of some types. Raises Numba's TypingError for types that it cannot take."""
        flags = _KernelFlags()
        self.targetdescr.options.parse_as_flags(flags, self.targetoptions)
        context, library = self.targetdescr.target_context, None
        if self.as_part:
            flags.no_cpython_wrapper = flags.no_compile = True
            library = PartLibrary(context.codegen(), self.py_func.__qualname__)
        result = compile_extra(
            self.targetdescr.typing_context,
            context,
            self.py_func,
            args=args,
            return_type=return_type,
            flags=flags,
            locals=self.locals,
            library=library,
            pipeline_class=self.pipeline_class,
        )
        return enter_part(result) if self.as_part else result


class KernelDispatcher(CPUDispatcher):  # type: ignore[misc]  # Numba has no types
    """A kernel with all that it was compiled for: code to call, and parts for kernels that call it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Wrap a Python function, which is compiled when it is first called."""
        super().__init__(function, targetoptions=dict(_OPTIONS))
        self._compiler = _KernelCompiler(function, self.targetdescr, self.targetoptions, self.locals, Compiler)
        self._parts_cache: Any = NullCache()

    def keep_in(self, whole: Any, parts: Any) -> None:  # noqa: ANN401 - Numba's types
        """Let compiled code be looked for, and kept, in two caches of Numba's kind."""
        self._cache, self._parts_cache = whole, parts

    def leave_cache(self) -> None:
        """Look into the caches no more."""
        self.keep_in(NullCache(), NullCache())

    @property
    def called_kernels(self) -> set["KernelDispatcher"]:
        """All kernels that this one calls, directly or not, itself included."""
        found, waiting = {self}, [self]
        while waiting:
            function = waiting.pop().py_func
            cells = [cell.cell_contents for cell in function.__closure__ or ()]
            names = function.__code__.co_names
            named = [function.__globals__.get(name) for name in names]
            modules = [each for each in named if isinstance(each, ModuleType)]
            attributes = [vars(module).get(name) for module in modules for name in names]
            new = {each for each in (*cells, *named, *attributes) if isinstance(each, KernelDispatcher)} - found
            found |= new
            waiting += new
        return found

    @property
    def compiles_part(self) -> bool:
        """Whether what is compiled now is to be a part."""
        return bool(self._compiler.as_part)

    def get_call_template(self, args: Any, kws: Any) -> Any:  # noqa: ANN401 - Numba's types
        """Return how Numba types a call of this kernel in another one, which has it as a part.

        A constant in the call counts as any number of its type: a part for each constant would double what is compiled,
        and the constant is known again when the part is inlined.
        """
        args = tuple(unliteral(argument) for argument in args)
        kws = {name: unliteral(argument) for name, argument in kws.items()}
        with global_compiler_lock:
            compiler, whole = self._compiler, self._cache
            compiler.as_part, self._cache = True, self._parts_cache
            try:
                return super().get_call_template(args, kws)
            finally:
                compiler.as_part, self._cache = False, whole

    def compile(self, sig: Any) -> Any:  # noqa: ANN401 - Numba's types
        """Return the kernel's entry for arguments of some types, compiled or loaded from the cache."""
        with global_compiler_lock:
            if self._compiler.as_part:
                return super().compile(sig)
            types = tuple(sigutils.normalize_signature(sig)[0])
            existing = self.overloads.get(types)
            if existing is not None and _is_part(existing):
                del self.overloads[types]  # its callers have linked it
                existing = None
            entry = super().compile(sig)
            if existing is None:
                _set_environments(self.overloads[types])
            return entry

    def add_overload(self, cres: CompileResult) -> None:
        """Note what was compiled or loaded, so that it is found for the same types."""
        if _is_part(cres):
            self.overloads[tuple(cres.signature.args)] = cres
        else:
            super().add_overload(cres)


def _is_part(result: CompileResult) -> bool:
    return isinstance(result.library, PartLibrary)


def _set_environments(result: CompileResult) -> None:
    """Give each part its environment, as Numba does when it loads code from its cache."""
    codegen = result.codegen
    for environment in result._find_referenced_environments():  # noqa: SLF001 - Numba has no other way to them
        codegen.set_env(environment.env_name, environment)


class CompiledKernels(event.Listener):  # type: ignore[misc]
    """Count of the kernels that this process compiles, and of those that it knows it will need, while it is entered.

    `counts` has both. The second one grows whenever a kernel is called from Python: all that it calls is then known.
    """

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self._counts = counts
        self._done: set[KernelDispatcher] = set()
        self._known: set[KernelDispatcher] = set()

    def __enter__(self) -> None:
        event.register("numba:compile", self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        event.unregister("numba:compile", self)

    def on_start(self, event: Any) -> None:  # noqa: ANN401 - Numba's types
        """Note what a kernel will need that is compiled whole now."""
        kernel = event.data["dispatcher"]
        if isinstance(kernel, KernelDispatcher) and not kernel.compiles_part:
            self._known |= kernel.called_kernels
            self._count()

    def on_end(self, event: Any) -> None:  # noqa: ANN401 - Numba's types
        """Note what is compiled: one part, or a whole with all parts, of which the cache may have had some."""
        kernel = event.data["dispatcher"]
        if isinstance(kernel, KernelDispatcher):
            self._done |= {kernel} if kernel.compiles_part else kernel.called_kernels
            self._known |= self._done
            self._count()

    def _count(self) -> None:
        self._counts[:] = len(self._done), len(self._known)


class ShownKernels(CompiledKernels):
    """Shows how far this process is whenever it compiles kernels by itself, at their first call."""

    def __init__(self, *, once: bool) -> None:
        """Say whether what is compiled is kept, so that it is compiled once."""
        super().__init__(np.zeros(2, np.int64))
        self._once = once
        self._depth = 0

    def on_start(self, event: Any) -> None:  # noqa: ANN401 - Numba's types
        """Show the count before a kernel is compiled."""
        super().on_start(event)
        self._depth += 1
        self._show()

    def on_end(self, event: Any) -> None:  # noqa: ANN401 - Numba's types
        """Show the count with this kernel; nothing, when Python goes on to run."""
        super().on_end(event)
        self._depth -= 1
        if self._depth:
            self._show()
        else:
            display.clear()

    def _show(self) -> None:
        done, known = self._counts
        display.show(int(done), int(known), once=self._once)
