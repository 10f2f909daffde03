"""The cache of compiled kernels: never that of other sources."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import liveness
from liveness.compiling import cache as kernel_cache
from liveness.compiling.cache import CacheFiles, KernelCache
from liveness.compiling.folder import find_caches
from liveness.compiling.sources import PACKAGE
from liveness.kernel import COMPILED, compiled_for, kernel, uint64, unowned


def in_copy(copy: Path, code: str, **environment: str) -> str:
    """Run code over a copy of the package, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(copy.parent), **environment},
        cwd=copy.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def copy_package(tmp_path: Path) -> Path:
    package = tmp_path / "liveness"
    shutil.copytree(Path(liveness.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def test_a_changed_source_file_means_another_cache_for_whatever_imports_it(tmp_path: Path) -> None:
    """A kernel's callees may lie in other files: a change of any of them must not find the old code."""
    package = copy_package(tmp_path)
    code = """
from pathlib import Path
from liveness.compiling.sources import PACKAGE, source_digest
print(*(source_digest(PACKAGE / name) for name in ("scan/send/fill.py", "packets/siphash.py")))
"""
    engine, siphash = in_copy(package, code).split()
    assert in_copy(package, code).split() == [engine, siphash]
    with (package / "cli" / "scan.py").open("a") as command:
        command.write("# a change\n")
    assert in_copy(package, code).split() == [engine, siphash]  # no kernel can see it
    with (package / "scan" / "send" / "fill.py").open("a") as source:
        source.write("# a change\n")
    other_engine, same_siphash = in_copy(package, code).split()
    assert (other_engine == engine, same_siphash) == (False, siphash)
    with (package / "packets" / "siphash.py").open("a") as source:
        source.write("# a change\n")
    third_engine, other_siphash = in_copy(package, code).split()
    assert len({engine, other_engine, third_engine}) == 3
    assert other_siphash != siphash


@pytest.mark.skipif(not COMPILED, reason="nothing is kept where nothing is compiled")
def test_checkouts_with_the_same_sources_share_what_was_compiled(tmp_path: Path) -> None:
    code = """
from liveness.order.permutation import next_element as kernel
assert kernel(3, 4, 7) == 5
print(*(sum(counts.values()) for counts in (kernel.stats.cache_hits, kernel.stats.cache_misses)))
"""
    cache = str(tmp_path / "cache")
    first, second = (copy_package(tmp_path / name) for name in ("a", "b"))
    assert in_copy(first, code, NUMBA_CACHE_DIR=cache) == "0 1"
    assert in_copy(second, code, NUMBA_CACHE_DIR=cache) == "1 0"


def test_a_directory_that_others_can_change_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds code that runs: root must not load what the owner of HOME has put there."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(shared))
    assert find_caches() == (shared / "liveness-kernels").resolve()
    shared.chmod(0o777)
    assert find_caches() != (shared / "liveness-kernels").resolve()
    shared.chmod(0o1777)
    assert find_caches() == (shared / "liveness-kernels").resolve()
    (shared / "liveness-kernels").chmod(0o777)
    assert find_caches() != (shared / "liveness-kernels").resolve()


@pytest.mark.skipif(not COMPILED, reason="nothing is kept where nothing is compiled")
def test_a_cache_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    """An image with compiled kernels may run with a file system that is read-only."""
    code = """
import os, sys
from pathlib import Path
from liveness.kernel import keeps_compiled, kept_in, needs_compiling
from liveness.order.permutation import next_element as kernel

assert kernel(3, 4, 7) == 5
print(*(sum(counts.values()) for counts in (kernel.stats.cache_hits, kernel.stats.cache_misses)), end=" ")
print(kept_in == Path(os.environ["NUMBA_CACHE_DIR"], "liveness-kernels"), keeps_compiled, end=" ")
print(needs_compiling("no such step", kernel.py_func))
"""
    cache = tmp_path.resolve() / "cache"
    assert in_copy(PACKAGE, code, NUMBA_CACHE_DIR=str(cache)) == "0 1 True True True"
    read_only = (
        "import os; access = os.access; os.access = lambda path, mode: not mode & os.W_OK and access(path, mode)"
    )
    assert in_copy(PACKAGE, f"{read_only}\n{code}", NUMBA_CACHE_DIR=str(cache)) == "1 0 True False False"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_root_does_not_load_what_another_user_owns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    (tmp_path / "liveness-kernels").mkdir(mode=0o700)
    os.chown(tmp_path / "liveness-kernels", 12345, 12345)
    assert find_caches() != (tmp_path / "liveness-kernels").resolve()
    (tmp_path / "liveness-kernels").rmdir()
    os.chown(tmp_path, 12345, 12345)
    assert find_caches() != (tmp_path / "liveness-kernels").resolve()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
@pytest.mark.parametrize("existing", [(), (".cache",)], ids=["home", "cache"])
def test_root_makes_nothing_in_the_home_of_another_user(
    existing: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `sudo -E`, for example. That user could not write into what root makes there."""
    home = tmp_path / "home"
    home.mkdir()
    for name in existing:
        (home / name).mkdir()
    for folder in (home, *home.iterdir()):
        os.chown(folder, 12345, 12345)
    for variable in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(home))
    find_caches()
    assert sorted(path.name for path in home.rglob("*")) == list(existing)


def test_a_cache_is_made_with_all_directories_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a" / "b"))
    assert find_caches() == (tmp_path / "a" / "b" / "liveness-kernels").resolve()
    (tmp_path / "a").chmod(0o777)
    shutil.rmtree(tmp_path / "a" / "b")
    assert find_caches() != (tmp_path / "a" / "b" / "liveness-kernels").resolve()
    assert not (tmp_path / "a" / "b").exists()


def test_a_user_without_a_home_compiles_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers and systemd's DynamicUser run as a uid that the machine does not know."""
    for variable in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 2**31 - 7)
    assert find_caches() is None


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


class Tally(NamedTuple):
    counts: NDArray[np.int64]
    step: int


@kernel
def add_step(tally: Tally, place: int) -> int:
    tally.counts[place] += tally.step
    return int(tally.counts[place])


def test_a_kernel_compiled_for_its_arguments_takes_others_of_the_same_types() -> None:
    tally = Tally(np.zeros(4, np.int64), 3)
    bound = compiled_for(add_step, tally, 0)
    assert [bound(tally, 1), bound(tally, 1), bound(tally._replace(step=5), 1)] == [3, 6, 11]
    other = Tally(np.arange(9, dtype=np.int64), 1)
    assert bound(other, 8) == 9
    assert tally.counts.tolist() == [0, 11, 0, 0]


def test_processes_that_compile_for_different_types_at_the_same_time_keep_apart(tmp_path: Path) -> None:
    """Each has read the index before the other one has written it."""
    files = {}
    for types, code in (("int64", "one"), ("float64", "two")):
        files[types] = CacheFiles(str(tmp_path), "kernel", "stamp")
        files[types]._load_index = dict  # type: ignore[method-assign]
        files[types].save(types, code)
    assert len(list(tmp_path.glob("*.nbc"))) == 2
    later = CacheFiles(str(tmp_path), "kernel", "stamp")
    assert (later.load("int64"), later.load("float64")) == (None, "two")
    later.save("int64", "one")
    assert (later.load("int64"), later.load("float64")) == ("one", "two")


@pytest.mark.parametrize("damage", ["", "\0" * 100, "(damaged", "\x80\x04N."], ids=["empty", "zeros", "text", "none"])
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_damaged_files_are_not_there_and_replaced(suffix: str, damage: str, tmp_path: Path) -> None:
    """A machine that crashes leaves files without their contents."""
    files = CacheFiles(str(tmp_path), "kernel", "stamp")
    files.save("int64", "one")
    for path in tmp_path.glob(f"*.{suffix}"):
        path.write_bytes(damage.encode("latin-1"))
    assert files.load("int64") is None
    files.save("int64", "one")
    assert files.load("int64") == "one"


def test_a_damaged_file_that_can_be_read_is_not_there(tmp_path: Path) -> None:
    """A disk that changes a bit in the code of a kernel leaves a file that unpickles well."""
    files = CacheFiles(str(tmp_path), "kernel", "stamp")
    files.save("int64", b"code of a kernel")
    (path,) = tmp_path.glob("*.nbc")
    path.write_bytes(path.read_bytes().replace(b"code of a", b"code og a"))
    assert files.load("int64") is None
    files.save("int64", b"code of a kernel")
    assert files.load("int64") == b"code of a kernel"


def test_what_cannot_be_kept_is_used_and_the_reason_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk stops no command."""
    unkept: list[OSError] = []
    monkeypatch.setattr(kernel_cache, "_unkept", unkept)
    CacheFiles(str(tmp_path / "missing"), "kernel", "stamp").save("int64", "one")
    assert [error.errno for error in unkept] == [errno.ENOENT]
    assert kernel_cache.why_not_kept() is unkept[0]


@pytest.mark.parametrize("place", ["missing.py", "library.zip/module.py"])
def test_without_its_source_nothing_is_known_to_be_compiled(place: str, tmp_path: Path) -> None:
    """An installation may have compiled modules of Python only, or lie in an archive."""
    (tmp_path / "library.zip").touch()
    namespace: dict[str, Any] = {}
    exec(compile("def load(): pass", tmp_path / place, "exec"), namespace)  # noqa: S102 - as if it came from there
    cache = KernelCache(tmp_path)
    assert not cache.needs_compiling("load", namespace["load"])
    cache.mark_compiled("load", namespace["load"])


def test_what_another_python_compiled_is_not_known_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of Numba's files have the version of Python."""
    cache, load = KernelCache(tmp_path), test_what_another_python_compiled_is_not_known_here
    cache.mark_compiled("load", load)
    assert not cache.needs_compiling("load", load)
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert cache.needs_compiling("load", load)
