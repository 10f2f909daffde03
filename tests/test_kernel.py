"""The cache of compiled kernels: never that of other sources."""

import os
import shutil
from pathlib import Path

import numpy as np

import liveness
from liveness.kernel import COMPILED, kernel, source_digest, uint64


def test_any_changed_source_file_means_another_cache(tmp_path: Path) -> None:
    """A kernel's callees may lie in other files: a change of any of them must not find the old code."""
    package = tmp_path / "liveness"
    shutil.copytree(Path(liveness.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = source_digest(package)
    assert source_digest(package) == before
    for changed in (package / "wire" / "cookie.py", package / "scan" / "engine.py"):
        state = changed.stat()
        os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
        assert source_digest(package) != before
        os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert source_digest(package) == before
    (package / "wire" / "more.py").write_text("")
    assert source_digest(package) != before


def test_unsigned_numbers_wrap_compiled_or_not() -> None:
    @kernel
    def successor(number: int) -> int:
        return number + uint64(1)

    assert successor(np.uint64(2**64 - 1)) == 0  # type: ignore[arg-type]  # an array element's type
    assert hasattr(successor, "py_func") == COMPILED
