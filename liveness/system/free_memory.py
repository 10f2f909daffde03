"""How much memory is free for this process: of the machine, and of every control group that it is in."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
GROUPS: Final = Path("/sys/fs/cgroup")
_FILES: Final = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and the part of the use that the kernel takes back without harm: of version 2 and of version 1."""


def free_bytes(proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Return how many bytes more this process and its children may use; None if the system does not say."""
    found = [*_of_machine(proc), *(free for folder in _folders(proc, groups) for free in _of_group(folder))]
    return min(found, default=None)


def _of_machine(proc: Path) -> Iterator[int]:
    """Yield what the machine has: free memory, and caches that the kernel can take back."""
    with suppress(OSError, ValueError):
        for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                yield int(rest.split()[0]) * 1024


def _folders(proc: Path, groups: Path) -> Iterator[Path]:
    """Yield the folder of each control group of this process that may limit memory, and of each group above it."""
    with suppress(OSError, ValueError):
        for line in (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = groups / "memory" if controllers else groups
            below = root.joinpath(*(part for part in path.split("/") if part not in {"", ".", ".."}))
            while below != root:  # in a container the path may be the one outside: what does not exist has no limit
                yield below
                below = below.parent
            yield root


def _of_group(folder: Path) -> Iterator[int]:
    """Yield what a control group lets its processes use more, if it limits their memory."""
    for limit, used, reclaimed in _FILES:
        with suppress(OSError, ValueError):  # ValueError: "max"
            most = int((folder / limit).read_text(encoding="ascii"))
            now = int((folder / used).read_text(encoding="ascii"))
            yield max(0, most - now + _reclaimed(folder, reclaimed))


def _reclaimed(folder: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1])
    return 0
