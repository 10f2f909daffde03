"""The place of a mutant: whatever a reader did to the surroundings is undone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzzing.place import Surroundings, lay_out


def tree_of(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Return mode and content of everything below a folder; links and folders have no content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() and not path.is_symlink() else None,
        )
        for path in folder.rglob("*")
    }


def grown(work: Path) -> None:
    with (work / "run" / "neighbour").open("ab") as file:
        file.write(b"more")


def changed_in_place(work: Path) -> None:
    (work / "run" / "neighbour").write_bytes(b"NEIGHBOUR")


def replaced_by_a_link(work: Path) -> None:
    (work / "run" / "neighbour").rename(work / "elsewhere")
    (work / "run" / "neighbour").symlink_to("../elsewhere")


def replaced_by_a_folder(work: Path) -> None:
    (work / "run" / "neighbour").unlink()
    (work / "run" / "neighbour" / "deep").mkdir(parents=True)


def a_folder_replaced_by_a_file(work: Path) -> None:
    (work / "run" / "sets" / "one").unlink()
    (work / "run" / "sets").rmdir()
    (work / "run" / "sets").write_bytes(b"")


def a_folder_replaced_by_a_link(work: Path) -> None:
    (work / "run" / "sets").rename(work / "moved")
    (work / "run" / "sets").symlink_to("../moved")


def everything_removed(work: Path) -> None:
    for name in ("run/sets/one", "run/neighbour", "run/file"):
        (work / name).unlink()
    (work / "run" / "sets").rmdir()
    (work / "run").rmdir()


def the_file_replaced(work: Path) -> None:
    (work / "run" / "file").unlink()
    os.mkfifo(work / "run" / "file")


CHANGES: list[Callable[[Path], object]] = [
    grown,
    changed_in_place,
    replaced_by_a_link,
    replaced_by_a_folder,
    a_folder_replaced_by_a_file,
    a_folder_replaced_by_a_link,
    everything_removed,
    the_file_replaced,
    lambda work: (work / "run" / "neighbour").unlink(),
    lambda work: (work / "run" / "neighbour").chmod(0o600),
    lambda work: (work / "run" / "file").chmod(0o644),
    lambda work: (work / "second").hardlink_to(work / "run" / "neighbour"),
    lambda work: (work / "added").write_bytes(b""),
    lambda work: (work / "loop").symlink_to("loop"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changes_are_undone(tmp_path: Path, change: Callable[[Path], object]) -> None:
    template, place = tmp_path / "template", tmp_path / "place"
    (template / "run" / "sets").mkdir(parents=True)
    for name in ("file", "neighbour", "sets/one"):
        (template / "run" / name).write_bytes(Path(name).name.encode())
    (template / "run" / "file").chmod(0o600)
    path = place / "work" / "run" / "file"
    lay_out(place, template, path)
    surroundings = Surroundings(place / "work", path)
    path.write_bytes(b"a mutant")
    laid_out = tree_of(place / "work")
    change(place / "work")
    surroundings.restore()
    path.write_bytes(b"a mutant")
    assert tree_of(place / "work") == laid_out
    assert not (place / "work" / "run" / "neighbour").stat().st_nlink > 1


def test_a_file_that_is_not_laid_out_stays(tmp_path: Path) -> None:
    (tmp_path / "template").mkdir()
    path = tmp_path / "place" / "work" / "below" / "file"
    lay_out(tmp_path / "place", tmp_path / "template", path)
    surroundings = Surroundings(tmp_path / "place" / "work", path)
    surroundings.restore()
    path.write_bytes(b"a mutant")
    surroundings.restore()
    assert path.read_bytes() == b"a mutant"
