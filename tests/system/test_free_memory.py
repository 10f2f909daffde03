"""Free memory: of the machine, and of control groups of both versions."""

import subprocess
import sys
from pathlib import Path

import pytest

from liveness.system.free_memory import free_bytes

MIB = 1 << 20


def write(folder: Path, **contents: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(content)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Make a machine with 1,000 MiB available, whose processes are in group /a/b of version 2."""
    write(tmp_path / "proc", meminfo="MemTotal:  4096000 kB\nMemAvailable:    1024000 kB\n")
    write(tmp_path / "proc" / "self", cgroup="1:name=systemd:/a\n0::/a/b\n")
    return tmp_path / "proc"


def test_a_machine_without_limits_has_what_is_available(proc: Path, tmp_path: Path) -> None:
    assert free_bytes(proc, tmp_path / "groups") == 1000 * MIB
    write(tmp_path / "groups" / "a", memory__max="max\n", memory__current="5")
    assert free_bytes(proc, tmp_path / "groups") == 1000 * MIB


def test_the_tightest_group_counts_without_what_the_kernel_takes_back(proc: Path, tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    write(groups / "a" / "b", memory__max=f"{900 * MIB}\n", memory__current=f"{100 * MIB}\n")
    assert free_bytes(proc, groups) == 800 * MIB
    write(groups / "a", memory__max=f"{500 * MIB}\n", memory__current=f"{300 * MIB}\n")
    assert free_bytes(proc, groups) == 200 * MIB
    write(groups / "a", memory__stat=f"active_file {MIB}\ninactive_file {50 * MIB}\n")
    assert free_bytes(proc, groups) == 250 * MIB
    write(groups, memory__max=f"{10 * MIB}\n", memory__current=f"{30 * MIB}\n")  # inside a container
    assert free_bytes(proc, groups) == 0


def test_groups_of_version_1_have_other_names(proc: Path, tmp_path: Path) -> None:
    write(proc / "self", cgroup="7:cpu,cpuacct:/c\n5:memory:/c\n0::/\n")
    files = {"memory__limit_in_bytes": f"{300 * MIB}\n", "memory__usage_in_bytes": f"{100 * MIB}\n"}
    write(tmp_path / "groups" / "memory" / "c", **files, memory__stat=f"total_inactive_file {7 * MIB}\n")
    write(tmp_path / "groups" / "cpu" / "c", memory__limit_in_bytes="1", memory__usage_in_bytes="0")
    assert free_bytes(proc, tmp_path / "groups") == 207 * MIB


def test_odd_files_say_nothing(proc: Path, tmp_path: Path) -> None:
    write(proc, meminfo="MemAvailable: many kB\n")
    write(proc / "self", cgroup="nothing\n")
    assert free_bytes(proc, tmp_path / "groups") is None
    write(proc / "self", cgroup="0::/../../etc\n")
    assert free_bytes(tmp_path / "no proc", tmp_path / "groups") is None


def test_this_machine_says_how_much_it_has() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from liveness.system.free_memory import free_bytes; print(free_bytes())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(found.stdout) > MIB
