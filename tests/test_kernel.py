"""The cache of compiled kernels: never that of other sources."""

import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import liveness
from liveness.kernel import COMPILED, kernel, source_digest, uint64, unowned


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


class Pair(NamedTuple):
    numbers: NDArray[np.int64]
    factor: int
    rest: tuple[NDArray[np.int64], int]


def test_arrays_that_are_not_owned_are_the_same_memory_and_nobody_gives_them_back() -> None:
    @kernel
    def scale(pair: Pair, more: NDArray[np.int64]) -> int:
        pair, more = unowned(pair), unowned(more)
        for i in range(len(more)):
            more[i] += pair.numbers[i] * pair.factor + pair.rest[0][0] * pair.rest[1]
        return len(pair.numbers)

    numbers, rest, more = np.arange(3), np.array([100]), np.zeros(3, np.int64)
    pair = Pair(numbers, 7, (rest, 2))
    before = [sys.getrefcount(array) for array in (numbers, rest, more)]
    assert [scale(pair, more) for _ in range(50)] == [3] * 50
    assert more.tolist() == [50 * (200 + 7 * i) for i in range(3)]
    assert [sys.getrefcount(array) for array in (numbers, rest, more)] == before
