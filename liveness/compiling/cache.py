"""Compiled kernels on disk.

Numba's own cache looks only at the file of a kernel, not at the files of the kernels that it calls: after an update old
and new code would run together. Here a digest of all these files names the place of what is compiled.
"""

import functools
import hashlib
import os
import pickle
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

from numba import __version__ as numba_version
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, _CacheLocator

from liveness.compiling import shipped
from liveness.compiling.parts import Packed, pack_part, unpack_part
from liveness.compiling.sources import name_in_package, source_digest

KEPT_STATES: Final = 16
"""Digests kept of each module; the oldest go when a new one is made."""
COMPILED_MARKS: Final = "compiled"
_WORD: Final = re.compile(r"\w+")
_unkept: Final[list[OSError]] = []
"""Why something that was compiled by this process could not be kept."""


def _trim(folder: Path) -> None:
    """Remove all but the newest states of a module."""
    with suppress(OSError):  # another process may be tidying up too
        for outdated in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT_STATES]:
            shutil.rmtree(outdated, ignore_errors=True)


@contextmanager
def _going_on() -> Iterator[None]:
    """Note an error of the file system in the body, and go on: what is compiled is used, also if it is not kept."""
    try:
        yield
    except OSError as error:
        _unkept.append(error)


def why_not_kept() -> OSError | None:
    """Return the first error because of which something that was compiled is not kept; None if all is."""
    return _unkept[0] if _unkept else None


class Kept(Protocol):
    """A kernel, as far as its caches go."""

    def keep_in(self, whole: FunctionCache, parts: FunctionCache) -> None:
        """Let the kernel's code be kept in two caches: as it is called from Python, and as a part of other kernels."""


class KernelCache:
    """Compiled kernels on disk; without a directory every kernel is compiled again."""

    def __init__(self, caches: Path | None) -> None:
        self.caches = caches
        self.writable = caches is not None and os.access(caches, os.W_OK)
        self._shipped = None if caches is None else shipped.shipped_machine()

    def keep(self, dispatcher: "Kept", function: Any, defined_in: str | None = None) -> None:  # noqa: ANN401 - any function
        """Let a compiled function be looked for and kept here.

        `defined_in` is the file whose code generated the function, if it is in no file itself.
        """
        if self.caches is None:
            return
        path = Path(defined_in or function.__code__.co_filename)
        if not path.is_file():
            return
        digest = source_digest(path)
        place = f"{name_in_package(path).replace(os.sep, '.').removesuffix('.py')}/{digest}"
        caches = (_cache_in(self.caches / place, digest, kept, self._shipped) for kept in (_Wholes, _Parts))
        dispatcher.keep_in(*(cache(function) for cache in caches))

    def needs_compiling(self, name: str, load: Any) -> bool:  # noqa: ANN401 - any callable
        """Return whether kernels are compiled here for the first time, and found here later.

        They are those that the function `load` calls, whose file imports them. `load` may call others another time:
        `name` is of these kernels alone.
        """
        if not self.writable:
            return False
        with suppress(OSError):  # of a process that may not look there any more, or without the source
            mark = self._mark(name, load)
            return mark is not None and not mark.exists() and not self._came_compiled(name, load)
        return False

    def _came_compiled(self, name: str, load: Any) -> bool:  # noqa: ANN401 - as above
        return self._shipped is not None and (shipped.FOLDER / _mark_of(name, load, self._shipped)).exists()

    def mark_compiled(self, name: str, load: Any) -> None:  # noqa: ANN401 - as above
        """Note that the kernels which `load` calls lie here."""
        with suppress(OSError):
            mark = self._mark(name, load)
            if mark is not None:
                mark.mkdir(mode=0o700, parents=True, exist_ok=True)
                _trim(mark.parent)

    def _mark(self, name: str, load: Any) -> Path | None:  # noqa: ANN401 - as above
        return None if self.caches is None else self.caches / _mark_of(name, load, shipped.machine())


def _mark_of(name: str, load: Any, machine: Any) -> Path:  # noqa: ANN401 - any callable, and Numba's
    """Return the path in a cache by which the kernels that `load` calls are known to be compiled for a machine."""
    while isinstance(load, functools.partial):
        load = load.func
    sources = source_digest(Path(load.__code__.co_filename))
    compiled = repr((sources, numba_version, sys.implementation.cache_tag, machine))
    folder = "-".join(_WORD.findall(name))
    return Path(COMPILED_MARKS, folder, hashlib.sha256(compiled.encode()).hexdigest()[:16])


class CacheFiles(IndexDataCacheFile):  # type: ignore[misc]
    """The files of a function: code that was compiled for some types, and the index that leads to it.

    Numba numbers the files by the index that it has read. Two processes that compile a function for different types at
    the same time would write both to one file, and the index would lead to code for other types. Here a digest of the
    key names the file. The index may lack an entry of another process then, which is compiled again.

    No file stops a command: a damaged one, which its digest shows, is ignored, and what cannot be written is
    not kept.
    """

    def __init__(self, folder: str, function: str, digest: str, others: "Shipped | None" = None) -> None:
        """Name the folder, the function, and the digest of the sources that the code is made of.

        `others` are files in which code is looked for that is not in these.
        """
        super().__init__(folder, function, digest)
        self._function = function
        self._others = others

    def load(self, key: Any) -> Any:  # noqa: ANN401 - Numba's types
        """Return the code that was compiled for `key`, or None."""
        try:
            digest, code = super().load(key) or (None, b"")
            found = pickle.loads(code) if digest == hashlib.sha256(code).digest() else None  # noqa: S301 - our own
        except Exception:  # noqa: BLE001 - pickle raises anything when a file is damaged
            found = None
        return self._others.load(key) if found is None and self._others is not None else found

    def save(self, key: Any, data: Any) -> None:  # noqa: ANN401 - Numba's types
        """Keep the code `data` that was compiled for `key`."""
        numba: Any = super()
        name = f"{self._function}.{hashlib.sha256(numba._dump(key)).hexdigest()[:16]}.nbc"  # noqa: SLF001 - Numba's own
        code = numba._dump(data)  # noqa: SLF001 - as above
        with _going_on():
            numba._save_data(name, (hashlib.sha256(code).digest(), code))  # noqa: SLF001 - as above
            numba._save_index(self._load_index() | {key: name})  # noqa: SLF001 - as above

    def _load_index(self) -> dict[Any, str]:
        """Return the names of the files by key."""
        try:
            return dict(super()._load_index())
        except Exception:  # noqa: BLE001 - as above
            return {}


class Shipped:
    """The files of a function that came compiled with the package."""

    def __init__(self, files: CacheFiles, machine: Any) -> None:  # noqa: ANN401 - Numba's
        """Take files whose code was compiled for `machine`, which this one can run."""
        self._files = files
        self._machine = machine

    def load(self, key: Any) -> Any:  # noqa: ANN401 - Numba's types
        """Return the code for the types of `key`, or None."""
        types, _, code = key
        return self._files.load((types, self._machine, code))


class _Wholes(CompileResultCacheImpl):  # type: ignore[misc]
    """What is kept of a kernel that is called from Python."""

    suffix = ""


class _Parts(CompileResultCacheImpl):  # type: ignore[misc]
    """What is kept of a kernel that others call."""

    suffix = ".part"

    def reduce(self, cres: Any) -> Packed:  # noqa: ANN401 - Numba's types
        """Return what is written into the file of a part."""
        return pack_part(cres)

    def rebuild(self, target_context: Any, payload: Packed) -> Any:  # noqa: ANN401 - Numba's types
        """Return the part of a file."""
        return unpack_part(target_context, payload)


@functools.cache
def _cache_in(
    directory: Path,
    digest: str,
    kept: type[_Wholes | _Parts],
    came: Any,  # noqa: ANN401 - Numba's
) -> type[FunctionCache]:
    """Return Numba's cache of a function, bound to a directory and to the state of the sources that fits it.

    `came` is the machine for which kernels of the package came compiled; None if none did.
    """

    class Locator(_CacheLocator):  # type: ignore[misc]
        def __init__(self, function: Any) -> None:  # noqa: ANN401
            self._line = function.__code__.co_firstlineno

        def ensure_cache_path(self) -> None:
            with _going_on():
                if not directory.exists():
                    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                    _trim(directory.parent)

        def get_cache_path(self) -> str:
            return str(directory)

        def get_source_stamp(self) -> str:
            return digest

        def get_disambiguator(self) -> str:
            return str(self._line)

        @classmethod
        def from_function(cls, function: Any, _file: str) -> "Locator":  # noqa: ANN401
            return cls(function)

    class Implementation(kept):  # type: ignore[valid-type, misc]
        _locator_classes = [Locator]  # noqa: RUF012 - Numba reads it so

    class Cache(FunctionCache):  # type: ignore[misc]
        _impl_class = Implementation

        def __init__(self, function: Any) -> None:  # noqa: ANN401
            super().__init__(function)
            name = self._impl.filename_base + kept.suffix
            with_package = str(shipped.FOLDER.joinpath(*directory.parts[-2:]))
            others = None if came is None else Shipped(CacheFiles(with_package, name, digest), came)
            self._cache_file = CacheFiles(self._cache_path, name, digest, others)

    return Cache
