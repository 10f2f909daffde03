"""The place of a mutant: its folder with the surroundings of the file, and outside it a file that nothing may touch."""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from tests.fuzzing.kinds.kind import ROOT

OWN_MODE: Final = 0o644
"""Of a mutant that has no real file in its place."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it shall be; the file that mutants are written to may have any content."""

    mode: int
    content: bytes | None

    def write(self, path: str) -> None:
        """Write the file, where none is."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.mode)
        try:
            os.fchmod(descriptor, self.mode)
            os.write(descriptor, self.content or b"")
        finally:
            os.close(descriptor)

    def is_at(self, entry: os.DirEntry[str]) -> bool:
        """Return whether an entry of a folder is this file."""
        found = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != self.mode or found.st_nlink != 1:
            return False
        if self.content is None:
            return True
        return found.st_size == len(self.content) and Path(entry.path).read_bytes() == self.content


Tree: TypeAlias = "dict[str, Kept | Tree]"


class Surroundings:
    """The surroundings of a file, kept in memory: what a reader changed is made again before the next mutant.

    Without that, a mutant would be read among what earlier ones have left, and could not be repeated by its number.
    """

    def __init__(self, work: Path, path: Path) -> None:
        """Keep a folder that is laid out; `path` is where mutants are written."""
        self._work = str(work)
        self._tree = _tree_of(work)
        *folders, name = path.relative_to(work).parts
        tree = self._tree
        for folder in folders:
            below = tree.setdefault(folder, {})
            assert isinstance(below, dict)
            tree = below
        real = tree.get(name)
        tree[name] = Kept(real.mode if isinstance(real, Kept) else OWN_MODE, None)

    def restore(self) -> None:
        """Make the folder again what it was."""
        _restore(self._work, self._tree)


def _tree_of(folder: Path) -> Tree:
    tree: Tree = {}
    for path in folder.iterdir():
        if path.is_dir():
            tree[path.name] = _tree_of(path)
        else:
            tree[path.name] = Kept(stat.S_IMODE(path.stat().st_mode), path.read_bytes())
    return tree


def _restore(folder: str, tree: Tree) -> None:
    missing = dict(tree)
    with os.scandir(folder) as entries:
        for entry in entries:
            wanted = tree.get(entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            if isinstance(wanted, dict) and is_folder:
                _restore(entry.path, wanted)
                del missing[entry.name]
            elif isinstance(wanted, Kept) and wanted.is_at(entry):
                del missing[entry.name]
            elif is_folder:
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)  # noqa: PTH108 - a text
    for name, wanted in missing.items():
        path = f"{folder}/{name}"
        if isinstance(wanted, dict):
            os.mkdir(path)  # noqa: PTH102 - a text
            _restore(path, wanted)
        else:
            wanted.write(path)


def lay_out(place: Path, template: Path, path: Path) -> None:
    """Make a place again: the folder `work` with the surroundings of a file, and outside it a file to keep."""
    lay_out_victim(place)
    work = place / "work"
    work.mkdir(exist_ok=True)
    for entry in work.iterdir():  # the folder itself stays: it is the working directory
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
    shutil.copytree(template, work, dirs_exist_ok=True, symlinks=True)
    shutil.copy(ROOT / "configs" / "blocklist.txt", work)
    path.parent.mkdir(parents=True, exist_ok=True)


def lay_out_victim(place: Path) -> None:
    """Make the file outside, if it is missing."""
    victim = place / "victim"
    if not (victim / "precious").exists():
        victim.mkdir(parents=True, exist_ok=True)
        (victim / "precious").write_bytes(b"precious")
