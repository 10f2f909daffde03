"""The room that works below a directory: nothing outside is ever read, written, removed or handed over."""

import errno
import os
import socket
from pathlib import Path

import pytest

from liveness.errors import LivenessError, one_line
from liveness.files import resolving
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.locks import HeldError
from liveness.files.reading import TooLargeError, read_below, read_bytes
from liveness.files.resolving import ForeignLinkError, LinkError, OutsideError
from liveness.system.child import run_in_child

is_root = os.geteuid() == 0
NOBODY = 65534


@pytest.fixture(params=["openat2", "steps"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with links that lead out of it, to a victim beside it; for both ways of resolving."""
    if request.param == "steps":
        monkeypatch.setattr(resolving, "_HAS_OPENAT2", False)
    here = tmp_path / "here"
    (here / "sets").mkdir(parents=True)
    (here / "sets" / "one").write_bytes(b"one")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_bytes(b"precious")
    (here / "folder-link").symlink_to(victim)
    (here / "file-link").symlink_to(victim / "precious")
    (here / "sets" / "up").symlink_to("..")
    return here


def untouched(place: Path) -> bool:
    victim = place.parent / "victim"
    return {path.name: path.read_bytes() for path in victim.iterdir()} == {"precious": b"precious"}


def test_links_are_never_followed(place: Path) -> None:
    with Directory.open(place) as directory:
        for name in ("folder-link/precious", "file-link", "sets/up/sets/one"):
            with pytest.raises(LinkError, match="is a symbolic link, which is not followed"):
                directory.open_file(name)
        with pytest.raises(LinkError):
            directory.lock("file-link")
        with pytest.raises(LinkError):
            directory.write("folder-link/new", b"")
        with pytest.raises(LinkError):
            directory.make_directory("folder-link/new/deeper")
        with pytest.raises(LinkError):
            directory.move("sets/one", "folder-link/one")
        with pytest.raises(LinkError):
            directory.remove("folder-link/precious")
        with pytest.raises(LinkError):
            directory.remove_tree("sets/up/folder-link/precious")
        directory.write("file-link", b"mine")  # the link itself is replaced
        assert (place / "file-link").read_bytes() == b"mine"
        directory.remove_tree("folder-link")
        assert not (place / "folder-link").is_symlink()
        directory.remove_tree("sets")
        assert not (place / "sets").exists()
    assert untouched(place)


@pytest.mark.parametrize("name", ["/etc/passwd", "../victim/precious", "sets/../../victim/precious", "", "a\0b"])
def test_names_that_lead_out_are_refused(place: Path, name: str) -> None:
    with Directory.open(place) as directory:
        for action in (directory.open_file, directory.remove, directory.remove_tree, directory.lock, directory.status):
            with pytest.raises(OutsideError):
                action(name)
        with pytest.raises(OutsideError):
            directory.write(name, b"")
        with pytest.raises(OutsideError):
            directory.move("sets/one", name)
    assert untouched(place)


def test_files_are_written_read_moved_and_listed(place: Path) -> None:
    with Directory.make(place / "new" / "deeper") as directory:
        directory.make_directory("sets").close()
        directory.write("sets/two", b"two", mode=0o600)
        directory.move("sets/two", "three")
        directory.sync()
        assert read_below(directory, "three") == b"two"
        assert directory.names() == ["sets", "three"]
        assert directory.names("sets") == []
        assert directory.is_file("three")
        assert directory.is_directory("sets")
        assert directory.status("four") is None
        with pytest.raises(TooLargeError, match="3 bytes, where 2 are the most"):
            read_below(directory, "three", 2)
        directory.remove("four")
        directory.remove_tree("four")
    assert (place / "new" / "deeper" / "three").stat().st_mode & 0o777 == 0o600
    with pytest.raises(NotADirectoryError):
        Directory.make(place / "sets" / "one" / "below")


def test_a_lock_has_one_holder_who_is_named(place: Path) -> None:
    with Directory.open(place) as directory:
        lock = directory.lock("lock")
        os.write(lock, b"123\n")
        with pytest.raises(HeldError) as held:
            directory.lock("lock")
        assert held.value.holder == "123"
        os.close(lock)
        os.close(directory.lock("lock"))


def test_what_is_no_regular_file_is_no_file(place: Path) -> None:
    os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(place / "socket"))
    with Directory.open(place) as directory:
        for name in ("pipe", "sets"):
            with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
                directory.open_file(name)
        with pytest.raises(OSError, match="not a regular file"):
            directory.lock("pipe")
        with pytest.raises(OSError) as refused:  # noqa: PT011 - the kernel's own words differ
            directory.open_file("socket")
        assert refused.value.errno == errno.ENXIO
    with pytest.raises(OSError, match="not a regular file: '/dev/zero'"):
        read_bytes(Path("/dev/zero"))


def test_nothing_removes_folders_without_end(place: Path) -> None:
    deep = place / "deep"
    deep.mkdir()
    here = os.open(deep, os.O_RDONLY)
    for _ in range(100):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with Directory.open(place) as directory, pytest.raises(OSError, match="more than any run has"):
        directory.remove_tree("deep")


def test_text_of_files_cannot_move_a_cursor() -> None:
    assert one_line("a\x1b[2Jb\nc\u202e\u0000é") == "a\\x1b[2Jb\\nc\\u202e\\x00é"


@pytest.mark.skipif(not is_root, reason="only root hands anything over")
class TestRoot:
    """What root does in a directory of another user."""

    def test_only_ones_own_changes_hands(self, place: Path) -> None:
        victim = place.parent / "victim"
        (place / "sets" / "linked").hardlink_to(victim / "precious")
        other = place / "other"
        other.write_bytes(b"")
        os.chown(other, 1, 1)
        with Directory.open(place) as directory:
            directory.give_to(NOBODY, NOBODY)
        owners = {path.name: path.lstat().st_uid for path in (place, *place.rglob("*"))}
        assert owners == {
            "here": NOBODY,
            "sets": NOBODY,
            "one": NOBODY,
            "linked": 0,
            "up": 0,
            "other": 1,
            "folder-link": 0,
            "file-link": 0,
        }
        assert (victim.stat().st_uid, (victim / "precious").stat().st_uid) == (0, 0)

    def test_folders_alone_change_hands(self, place: Path) -> None:
        with Directory.open(place) as directory:
            directory.give_to(NOBODY, NOBODY, files=False)
        assert (place / "sets").stat().st_uid == NOBODY
        assert (place / "sets" / "one").stat().st_uid == 0

    def test_a_file_with_another_name_is_not_locked(self, place: Path) -> None:
        (place / "lock").hardlink_to(place.parent / "victim" / "precious")
        with Directory.open(place) as directory, pytest.raises(OSError, match="a hard link"):
            directory.lock("lock")
        assert untouched(place)

    def test_links_of_others_lead_root_nowhere(self, place: Path) -> None:
        theirs = place / "folder-link"
        os.lchown(theirs, 1234, 1234)
        with pytest.raises(ForeignLinkError, match="folder-link is a symbolic link of user 1234"):
            Directory.open(theirs)
        with pytest.raises(LivenessError, match="which root does not follow"):
            write_atomically(theirs / "new", b"")
        assert untouched(place)

        def as_that_user() -> bool:
            os.setresuid(1234, 1234, 1234)
            Directory.open(theirs).close()
            return True

        for path in (place, place.parent / "victim", place.parent, *place.parent.parents):
            if path.stat().st_mode & 0o005 != 0o005:
                path.chmod(path.stat().st_mode | 0o055)
        assert run_in_child(as_that_user)

    def test_links_of_root_and_of_who_called_sudo_are_followed(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Directory.open(place / "sets" / "up" / "folder-link").close()
        os.lchown(place / "folder-link", 1234, 1234)
        monkeypatch.setenv("SUDO_UID", "1234")
        Directory.open(place / "folder-link").close()
        loop = place / "loop"
        loop.symlink_to("loop")
        with pytest.raises(OSError, match="Too many levels"):
            Directory.open(loop)
