"""Files that a person names to be written: links are followed, by root those of trusted users alone."""

import os
from pathlib import Path

import pytest

from liveness.files.outputs import check_output, destination, open_destination, write_output
from liveness.files.resolving import ForeignLinkError
from tests.cli.support import assert_one_line, liveness

WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
OTHER = 1234


def written(path: Path) -> None:
    descriptor = open_destination(path, WRITE, 0o600)
    os.write(descriptor, b"new")
    os.close(descriptor)


def test_files_and_links_are_written_where_they_lead(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "one").symlink_to("folder/two")
    (tmp_path / "folder" / "two").symlink_to("../three")
    for name in ("plain", "one"):
        written(tmp_path / name)
    assert destination(tmp_path / "one").resolve() == tmp_path / "three"
    assert {
        path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and not path.is_symlink()
    } == {
        "plain": b"new",
        "three": b"new",
    }
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        written(tmp_path / "loop")


def test_links_of_the_kernel_are_followed(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    written(Path(f"/proc/self/fd/{writer}"))
    assert os.read(reader, 10) == b"new"
    (tmp_path / "out").symlink_to(f"/proc/self/fd/{writer}")
    written(tmp_path / "out")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    os.close(writer)


def test_a_descriptor_of_a_file_is_written_behind_what_it_has(tmp_path: Path) -> None:
    """As with -o /dev/stdout where a shell has redirected it: other lines may come before and after."""
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, b"before ")
    (tmp_path / "out").symlink_to(f"/proc/self/fd/{descriptor}")
    for path in (tmp_path / "out", Path(f"/proc/self/fd/{descriptor}")):
        check_output(path, "text")
        write_output(path, b"new ")
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"before new new after"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must not follow")
@pytest.mark.parametrize("where", ["file", "folder"])
def test_root_follows_no_link_of_another_user(tmp_path: Path, where: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_bytes(b"precious")
    link = tmp_path / "link"
    link.symlink_to(victim / "precious" if where == "file" else victim)
    os.lchown(link, OTHER, OTHER)
    named = link if where == "file" else link / "precious"
    with pytest.raises(ForeignLinkError, match="link is a symbolic link of user 1234"):
        written(named)
    (tmp_path / "a.txt").write_text("10.0.0.1\n")
    union = liveness("sets", "union", tmp_path / "a.txt", "-o", named, "--to", "text")
    assert_one_line(union, 1, "symbolic link")
    assert (victim / "precious").read_bytes() == b"precious"
