"""Child processes of a scan."""

from pathlib import Path

from liveness.scan.process import Child


def test_a_child_has_its_name_in_lists_of_processes() -> None:
    names = ("receiver 0", "a name that is longer than the kernel keeps")
    children = [Child(name, Path("/proc/self/comm").read_text) for name in names]
    for child, name in zip(children, names, strict=True):
        child.end_within(60)
        assert child.result() == f"{name[:15]}\n"
