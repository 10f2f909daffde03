"""Every place of the package that opens a file: the kinds of the fuzzer that reach it, or why none need to.

`test_readers.py` compares this list with the calls in the source. A new reader belongs here, with its kind.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
OPENING: Final = frozenset({
    "open", "read_text", "read_bytes", "read_named", "read_below", "open_regular", "open_file", "memmap", "fromfile",
    "GzipFile", "BZ2File", "LZMAFile", "preadv", "parse_xml", "iterparse", "read_parquet", "read_csv", "loadtxt",
})  # fmt: skip
"""Names of functions and methods that open a file, or read one that is named."""
NO_FILES: Final = frozenset({"Directory", "RunDirectory", "ways", "kernel", "self", "watcher", "collector", "endpoint",
                             "_reader", "opener"})  # fmt: skip
"""What else has a method `open`: directories, which are opened to look into, and sockets."""

Reached = tuple[str, ...]
"""Names of kinds."""


def calls() -> Iterator[str]:
    """Yield the places that open files, as ``module.function``."""
    for path in sorted((ROOT / "liveness").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "liveness").with_suffix("").parts)
        yield from (f"{module}.{name}" for name in _calls_in(ast.parse(path.read_text(encoding="utf-8")), ""))


def _calls_in(node: ast.AST, within: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        name = within
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{within}.{child.name}" if within else child.name
        if isinstance(child, ast.Call) and _opens(child.func):
            yield within or "(module)"
        yield from _calls_in(child, name)


def _opens(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in OPENING
    if not isinstance(function, ast.Attribute) or function.attr not in OPENING:
        return False
    owner = function.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return not (function.attr == "open" and name in NO_FILES)
