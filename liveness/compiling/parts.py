"""Owns the code of parts: kernels that other kernels call, compiled to be inlined there and nothing more.

Numba makes machine code of each function that it compiles, with an entry for calls from Python and another one for
calls from C, and optimises it by itself first. A part is only checked, typed and translated: it is optimised where it
is inlined, as a piece of its caller. That halves the time that the kernels of a scan take to compile.
"""

from typing import Any, Final

from llvmlite import binding
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys

Packed = tuple[str, bytes, Any, Any, Any]
"""A part as it is kept on disk: name, LLVM's bitcode, description, environment and signature."""

_REFUSED: Final = "a part has no machine code: kernels that are called from Python are compiled whole"


class PartLibrary(JITCodeLibrary):  # type: ignore[misc]  # Numba has no types
    """The code of a part and of all parts that it calls, as one module of LLVM."""

    def add_linking_library(self, library: Any) -> None:  # noqa: ANN401 - Numba's types
        """Note that the part calls what is in `library`. The caller brings Numba's own run-time library."""
        if library is not rtsys.library:
            super().add_linking_library(library)

    def finalize(self) -> None:
        """Link in what the part calls. Machine code is made of the whole that it becomes a part of."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)  # noqa: SLF001 - as Numba links
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)  # noqa: SLF001 - as above
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Refuse: RuntimeError, since nothing may call a part but the whole that it is linked into."""
        raise RuntimeError(f"{name}: {_REFUSED}")


def enter_part(result: CompileResult) -> CompileResult:
    """Return a compiled part with an entry by which its callers find it, and register it there."""
    entry = object()  # Numba looks up by identity what a function in the typed code stands for
    result.target_context.insert_user_function(entry, result.fndesc, [result.library])
    return result._replace(entry_point=entry)


def pack_part(part: CompileResult) -> Packed:
    """Return what `unpack_part` makes the part of again."""
    description = part.fndesc
    description.typemap = description.calltypes = None  # of use while it was compiled; they may fail to pickle
    code: bytes = part.library._final_module.as_bitcode()  # noqa: SLF001 - Numba has no other way to it
    return part.library.name, code, description, part.environment, part.signature


def unpack_part(context: Any, packed: Packed) -> CompileResult:  # noqa: ANN401 - Numba's types
    """Return the part that `pack_part` packed, for kernels that are compiled in `context`."""
    name, code, description, environment, signature = packed
    library = PartLibrary(context.codegen(), name)
    library._final_module = binding.parse_bitcode(code)  # noqa: SLF001 - as above
    library._finalized = True  # noqa: SLF001 - as above
    return CompileResult(
        typing_context=context.typing_context,
        target_context=context,
        entry_point=object(),  # the dispatcher registers it, as it does with all that it loads
        typing_error=None,
        type_annotation=None,
        signature=signature,
        objectmode=False,
        lifted=(),
        fndesc=description,
        library=library,
        call_helper=None,
        environment=environment,
        metadata=None,
        reload_init=(),
        referenced_envs=(),
    )
