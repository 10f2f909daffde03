"""Digests of source files and of all that they import from this package.

What is compiled of a kernel fits as long as no file changes that the kernel can see. Digests are of contents: checkouts
with the same sources share what was compiled, and editing a file recompiles only the kernels that can see it.
"""

import functools
import hashlib
import re
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1]
_IMPORT: Final = re.compile(
    rf"^\s*(?:from\s+({PACKAGE.name}[\w.]*)\s+import\s+(\([^)]*\)|[^\n]*)|import\s+({PACKAGE.name}[\w.]*))",
    re.MULTILINE,
)
_WORD: Final = re.compile(r"\w+")
_BY_NAME: Final = re.compile(rb"\bimport_module\(")
"""A call, which this line is none of: everything depends on this file."""


@functools.cache
def _read(path: Path) -> tuple[bytes, frozenset[Path]]:
    """Return the bytes of a source file and the files of this package that it imports.

    A file that imports modules by their names, as a registry does, depends on every file of its folder.
    """
    source = path.read_bytes()
    imported: set[Path] = set(path.parent.glob("*.py")) if _BY_NAME.search(source) else set()
    for module, names, alone in _IMPORT.findall(source.decode("utf-8", "replace")):
        dotted = module or alone
        candidates = [dotted, *(f"{dotted}.{name}" for name in _WORD.findall(names))]
        imported.update(found for name in candidates if (found := _file_of(name)) is not None)
    return source, frozenset(imported)


@functools.cache
def _file_of(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def source_digest(path: Path) -> str:
    """Return a digest of a source file's contents and of those of the package that it imports, directly or not."""
    seen: dict[Path, bytes] = {}
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen[current], imported = _read(current)
            waiting.extend(imported)
    digest = hashlib.sha256()
    for name, source in sorted((name_in_package(file), source) for file, source in seen.items()):
        digest.update(f"{name}|{len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]


def name_in_package(path: Path) -> str:
    """Return the path of a source file in this package; of another file only its name."""
    return str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) else path.name
