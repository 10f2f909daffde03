"""CPU time and memory of processes that run, from /proc."""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
PSS: Final = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
USER_TIME: Final = 11
"""Index of utime after the name of the command; stime, cutime and cstime follow it (proc(5))."""
TIMES: Final = 4


class Usage(NamedTuple):
    """What processes have taken: CPU time since they began, with children that have ended, and memory now."""

    processes: int
    cpu_s: float
    pss_kib: int


def usage_of(pid: int, words: tuple[str, ...]) -> Usage:
    """Return the usage of a process and those below it that have `words` at the end, those of a lab left out."""
    wanted = "\0".join((*words, "")).encode()
    found = [entry for entry in descendants(pid) if _read(entry, "cmdline").endswith(wanted) and not _is_lab(entry)]
    times = [_cpu_s(entry) for entry in found]
    return Usage(len(found), sum(times), sum(_pss_kib(entry) for entry in found))


def named_usage(pid: int, words: tuple[str, ...]) -> dict[str, Usage]:
    """Return the usage of the same processes by their names, such as `receiver 0`."""
    wanted = "\0".join((*words, "")).encode()
    found: dict[str, Usage] = {}
    for entry in descendants(pid):
        if _read(entry, "cmdline").endswith(wanted):
            found[_read(entry, "comm").decode().strip()] = Usage(1, _cpu_s(entry), _pss_kib(entry))
    return found


def descendants(pid: int) -> list[int]:
    """Return a process and all processes below it."""
    found = [pid]
    for child in _read(pid, f"task/{pid}/children").split():
        found += descendants(int(child))
    return found


def _is_lab(pid: int) -> bool:
    """Return whether a process is one of the lab: it has the words of what runs in it in its command line, too."""
    return b"\0exec\0" in _read(pid, "cmdline")


def _cpu_s(pid: int) -> float:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    if not fields:
        return 0.0
    return sum(int(ticks) for ticks in fields[USER_TIME : USER_TIME + TIMES]) / os.sysconf("SC_CLK_TCK")


def _pss_kib(pid: int) -> int:
    match = PSS.search(_read(pid, "smaps_rollup").decode())
    return int(match[1]) if match else 0


def _read(pid: int, name: str) -> bytes:
    """Return a file of a process; nothing if the process has ended."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
