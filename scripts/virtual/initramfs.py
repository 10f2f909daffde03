"""The first file system of the guest: BusyBox, kernel modules in the order in which they load, and /init."""

import lzma
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

DIRECTORY, FILE, DEVICE = 0o040755, 0o100755, 0o020600
CONSOLE: Final = (5, 1)
"""Numbers of /dev/console, which the kernel opens for /init."""
SUFFIXES: Final = (".ko.xz", ".ko")


class ModuleError(Exception):
    """Modules that this kernel lacks."""


def load_order(folder: Path, wanted: Iterable[str]) -> list[tuple[str, bytes]]:
    """Return names and contents of modules below a folder and of those that they need, in the order of loading.

    Modules that are built into the kernel are left out. Raises ModuleError if the kernel has none of a name.
    """
    files = {_name(path): path for path in folder.rglob("*.ko*")}
    built_in = {_name(Path(line)) for line in (folder / "modules.builtin").read_text().split()}
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in order or name in built_in:
            return
        if name not in files:
            raise ModuleError(f"the kernel in {folder} has no module {name}")
        content = files[name].read_bytes()
        if files[name].suffix == ".xz":
            content = lzma.decompress(content)
        for needed in _needed(content):
            add(needed)
        order[name] = content

    for name in wanted:
        add(name)
    return list(order.items())


def _name(path: Path) -> str:
    name = path.name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name.replace("-", "_")


def _needed(module: bytes) -> Iterator[str]:
    """Yield the names of the modules that a module names in its .modinfo section."""
    for key, value in re.findall(rb"(?:^|\0)(depends|softdep)=([^\0]*)\0", module):
        if key == b"depends":
            yield from (name.replace("-", "_") for name in value.decode().split(",") if name)


def archive(busybox: Path, modules: Iterable[tuple[str, bytes]], init: str) -> bytes:
    """Return the file system as a cpio archive in the kernel's format (initramfs buffer format, "newc")."""
    folders = ("bin", "dev", "proc", "sys", "modules", "new")
    entries: list[tuple[str, int, bytes]] = [(folder, DIRECTORY, b"") for folder in folders]
    entries += [("bin/busybox", FILE, busybox.read_bytes()), ("init", FILE, init.encode())]
    entries.append(("dev/console", DEVICE, b""))
    entries += [(f"modules/{number:03}-{name}.ko", FILE, code) for number, (name, code) in enumerate(modules)]
    parts = [_entry(number, *entry) for number, entry in enumerate(entries, 1)]
    return b"".join([*parts, _entry(0, "TRAILER!!!", 0, b"")])


def _entry(inode: int, name: str, mode: int, content: bytes) -> bytes:
    device = CONSOLE if mode == DEVICE else (0, 0)
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
    header = "070701" + "".join(f"{field:08X}" for field in fields)
    return _padded(header.encode() + name.encode() + b"\0") + _padded(content)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)
