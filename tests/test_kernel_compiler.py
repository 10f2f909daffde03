"""Kernels that other kernels call: compiled as parts, and whole only if Python calls them too."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.compiling.parts import PartLibrary
from liveness.kernel import COMPILED, kernel

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled")

MODULE = """
from liveness.kernel import kernel

@kernel
def ratio(a, b):
    if b > 100:
        raise ValueError("too large")
    return a // b

@kernel
def twice(a, b):
    return 2 * ratio(a, b)

@kernel
def thrice(a, b):
    return 3 * ratio(a, b)
"""
REPORT = """
import odd_kernels as odd
from liveness.compiling.compiler import KernelDispatcher

def outcome(function, *arguments):
    try:
        return function(*arguments)
    except (ValueError, ZeroDivisionError) as error:
        return f"{type(error).__name__}: {error}"

for name in names:
    function = getattr(odd, name)
    print(*(outcome(function, *arguments) for arguments in ((7, 2), (7, 0), (7, 101))), sep="; ")
print({name: (sum(each.stats.cache_hits.values()), sum(each.stats.cache_misses.values()))
       for name, each in vars(odd).items() if isinstance(each, KernelDispatcher)})
"""


def library_of(function: object) -> object:
    """Return the code library of a kernel that was compiled for one combination of types."""
    (result,) = function.overloads.values()  # type: ignore[attr-defined]
    return result.library


def run_kernels(folder: Path, *names: str) -> list[str]:
    """Call kernels of MODULE in a process of its own whose cache is in `folder`; return what it prints."""
    (folder / "odd_kernels.py").write_text(MODULE)
    done = subprocess.run(
        [sys.executable, "-c", f"names = {names!r}\n{REPORT}"],
        env={**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_kernel_that_python_never_calls_gets_no_machine_code() -> None:
    @kernel
    def square(number: int) -> int:
        return number * number

    @kernel
    def square_sum(numbers: NDArray[np.int64]) -> int:
        total = 0
        for number in numbers:
            total += square(number)
        return total

    assert square_sum(np.arange(5)) == 30
    part = library_of(square)
    assert isinstance(part, PartLibrary)
    assert not isinstance(library_of(square_sum), PartLibrary)
    with pytest.raises(RuntimeError, match="a part has no machine code"):
        part.get_pointer_to_function("square")

    assert square(7) == 49  # whole from now on, for the same types
    assert not isinstance(library_of(square), PartLibrary)
    assert square_sum(np.arange(6)) == 55

    @kernel
    def fourth_power(number: int) -> int:
        return square(square(number))

    assert fourth_power(3) == 81  # of a kernel that is compiled whole already


def test_a_part_raises_its_errors_compiled_and_loaded_from_the_cache(tmp_path: Path) -> None:
    results = "6; ZeroDivisionError: integer division by zero; ValueError: too large"
    assert run_kernels(tmp_path, "twice") == [results, "{'ratio': (0, 1), 'twice': (0, 1), 'thrice': (0, 0)}"]
    assert run_kernels(tmp_path, "twice") == [results, "{'ratio': (0, 0), 'twice': (1, 0), 'thrice': (0, 0)}"]


def test_a_part_is_compiled_once_for_all_kernels_that_call_it(tmp_path: Path) -> None:
    run_kernels(tmp_path, "twice")
    results = "9; ZeroDivisionError: integer division by zero; ValueError: too large"
    found = run_kernels(tmp_path, "thrice")
    assert found == [results, "{'ratio': (1, 0), 'twice': (0, 0), 'thrice': (0, 1)}"]
    found = run_kernels(tmp_path, "ratio")  # no part: this is for calls from Python
    assert found[-1] == "{'ratio': (0, 1), 'twice': (0, 0), 'thrice': (0, 0)}"
    assert run_kernels(tmp_path, "ratio")[-1] == "{'ratio': (1, 0), 'twice': (0, 0), 'thrice': (0, 0)}"


def test_a_part_is_compiled_once_for_all_constants_that_it_is_called_with() -> None:
    @kernel
    def scaled(number: int, factor: int, negative: bool) -> int:
        return -factor * number if negative else factor * number

    @kernel
    def sums(number: int) -> int:
        total = scaled(number, 2, False) + scaled(3, 5, True) + scaled(number, factor=7, negative=number > 4)
        return total + scaled(number, number, False)

    assert sums(5) == 10 - 15 - 35 + 25
    assert sums(3) == 6 - 15 + 21 + 9
    assert [str(types) for types in scaled.overloads] == ["(int64, int64, bool)"]  # type: ignore[attr-defined]


def test_names_of_a_module_are_looked_up_without_asking_it() -> None:
    """NumPy 1.26 warns when a program reads old names, such as `np.bool`."""
    made = ModuleType("made")

    @kernel
    def part() -> int:
        return 1

    vars(made).update(part=part, __getattr__=pytest.fail)
    namespace: dict[str, Any] = {"made": made}
    exec("def call(): return made.part() + made.outdated()", namespace)  # noqa: S102 - made above
    calling = kernel(namespace["call"])
    assert calling.called_kernels == {calling, part}  # type: ignore[attr-defined]
