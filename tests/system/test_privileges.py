"""Privileges that are given up, tried for real in forked children: what they may do afterwards, and what not."""

import ctypes
import errno
import os
import platform
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from liveness.errors import UnsupportedError, UsageError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.runs.rundir import RunDirectory
from liveness.scan.privilege_drop import PrivilegeDrop
from liveness.system import landlock, seccomp
from liveness.system.bpf import Program
from liveness.system.child import PR_GET_PDEATHSIG, libc, run_in_child
from liveness.system.namespace import enter_private_network, enter_user_namespace
from liveness.system.privileges import (
    CONFINEMENTS,
    NOBODY_ID,
    Dropped,
    User,
    capable_threads,
    confine_to,
    drop_privileges,
    user_to_become,
)

is_root = os.geteuid() == 0
NOBODY = User("nobody", NOBODY_ID, NOBODY_ID)


def status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def outcome(attempt: Callable[[], object]) -> str:
    """Return the name of the error that something is refused with, "done" if it is not."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def fork_and_leave() -> None:
    if os.fork() == 0:
        os._exit(0)


def reopened(file: Path) -> int:
    """Open a file by a descriptor that only names it."""
    return os.open(f"/proc/self/fd/{os.open(file, os.O_PATH)}", os.O_RDONLY)


def work_in(folder: Path) -> None:
    """Do with files what a receiver does."""
    (folder / "below").mkdir(exist_ok=True)
    list(folder.glob("*"))
    descriptor = os.open(folder / ".new.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.write(descriptor, b"content")
    os.fsync(descriptor)
    os.ftruncate(descriptor, 3)
    os.close(descriptor)
    (folder / ".new.tmp").rename(folder / "new")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fsync(descriptor)
    os.close(descriptor)
    (folder / "new").stat()
    (folder / "new").unlink()
    write_atomically(folder / "whole", b"as a segment is written")
    (folder / "whole").unlink()
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    thread = threading.Thread(target=os.getpid)
    thread.start()
    thread.join()


ATTEMPTS: dict[str, Callable[[Path], object]] = {
    "read the password file": lambda _: Path("/etc/passwd").read_bytes(),
    "read its own run": lambda folder: (folder / "key").read_bytes(),
    "read and write its own run": lambda folder: os.open(folder / "key", os.O_RDWR),
    "read by a descriptor that reads nothing": lambda folder: reopened(folder / "key"),
    "read its own memory": lambda _: os.open("/proc/self/mem", os.O_RDONLY),
    "raw socket": lambda _: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
    "raw IP socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "TCP socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "pair of sockets": lambda _: socket.socketpair(),
    "program": lambda _: os.execv("/bin/true", ["true"]),  # noqa: S606 - it is refused
    "child": lambda _: fork_and_leave(),
    "user namespace": lambda _: enter_user_namespace(0),
}


def confined(folder: Path) -> tuple[Dropped, tuple[bool, bool], dict[str, str], dict[str, str]]:
    """In a child: be root of a private network, drop, confine, and try everything."""
    enter_private_network()
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # what was open before stays so
    dropped = drop_privileges(None)
    state = status()
    held = confine_to(folder)
    work_in(folder)
    packets.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    return dropped, held, state, {name: outcome(partial(attempt, folder)) for name, attempt in ATTEMPTS.items()}


def test_a_receiver_can_read_no_file_and_open_no_socket(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(16))
    dropped, held, state, outcomes = run_in_child(lambda: confined(tmp_path))
    assert held == (landlock.version() > 0, seccomp.is_available())
    assert all(held), "this kernel lacks Landlock or seccomp: its receivers are confined by less"
    assert dropped.notes == ()
    assert {state[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert state["NoNewPrivs"] == "1"
    expected = dict.fromkeys(ATTEMPTS, "EPERM")
    for name in outcomes:
        if "read" in name.split():
            expected[name] = "EACCES"
    assert outcomes == expected


@pytest.mark.parametrize("by", CONFINEMENTS)
def test_each_confinement_alone_lets_no_file_be_read(tmp_path: Path, by: str) -> None:
    (tmp_path / "key").write_bytes(bytes(16))

    def child() -> dict[str, str]:
        drop_privileges(None)
        if by == "landlock":
            landlock.restrict(tmp_path)
        else:
            seccomp.confine()
        work_in(tmp_path)
        reading = {name: attempt for name, attempt in ATTEMPTS.items() if "read" in name.split()}
        found = {name: outcome(partial(attempt, tmp_path)) for name, attempt in reading.items()}
        beside = tmp_path.parent / f"{tmp_path.name}.beside"
        return found | {"beside": outcome(lambda: beside.write_bytes(b""))}

    outcomes = run_in_child(child)
    assert outcomes.pop("beside") == ("EACCES" if by == "landlock" else "done")
    assert set(outcomes.values()) == {"EACCES"}


def judge(program: Program, architecture: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel does, seccomp(2)."""
    words = [number, architecture, 0, 0]
    for argument in arguments:
        words += [argument & 0xFFFFFFFF, argument >> 32]
    words += [0] * (16 - len(words))
    accumulator, at = 0, 0
    while True:
        code, true, false, k = program[at]
        if code == 0x06:
            return k
        if code == 0x05:
            at += k + 1
            continue
        if code == 0x20:
            accumulator = words[k // 4]
        elif code == 0x54:
            accumulator &= k
        else:
            met = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[code]
            at += true if met else false
        at += 1


ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSED = {name: 0x50000 | getattr(errno, name) for name in ("EPERM", "EACCES", "ENOSYS")}


@pytest.mark.parametrize(
    ("machine", "architecture", "openat", "clone", "execve", "write"),
    [("x86_64", 0xC000003E, 257, 56, 59, 1), ("aarch64", 0xC00000B7, 56, 220, 221, 64)],
)
def test_the_filter_of_each_machine(
    machine: str, architecture: int, openat: int, clone: int, execve: int, write: int
) -> None:
    program = seccomp.confinement(machine)
    receiving = seccomp.confinement(machine, (7, 9))
    reading = seccomp.confinement(machine, reading=True)
    assert judge(receiving, architecture, write, 7) == judge(receiving, architecture, write, 9) == REFUSED["EPERM"]
    assert judge(receiving, architecture, write, 8) == judge(program, architecture, write, 7) == ALLOW
    splice = seccomp._SPLICE[machine == "aarch64"]
    assert judge(receiving, architecture, splice, 1, 0, 7) == REFUSED["EPERM"]
    assert judge(receiving, architecture, splice, 7, 0, 1) == ALLOW
    assert judge(reading, architecture, openat, 0, 0, os.O_RDONLY) == ALLOW
    assert judge(reading, architecture, execve) == REFUSED["EPERM"]

    def verdict(number: int, *arguments: int) -> int:
        return judge(program, architecture, number, *arguments)

    assert judge(program, 0x40000003, write) == KILL  # 32-bit calls have other numbers
    assert verdict(write) == ALLOW
    assert verdict(execve) == REFUSED["EPERM"]
    assert verdict(0x40000000 | write) == REFUSED["EPERM"]
    assert verdict(435) == verdict(437) == REFUSED["ENOSYS"]
    assert verdict(clone, 0x10000 | 0x100) == ALLOW
    assert verdict(clone, 17) == REFUSED["EPERM"]
    assert verdict(openat, 0, 0, os.O_WRONLY | os.O_CREAT) == ALLOW
    assert verdict(openat, 0, 0, os.O_RDONLY | os.O_DIRECTORY) == ALLOW
    assert verdict(openat, 0, 0, os.O_PATH | os.O_NOFOLLOW) == ALLOW
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_ACCMODE, os.O_RDONLY | os.O_CLOEXEC):
        assert verdict(openat, 0, 0, flags) == REFUSED["EACCES"]


HEADERS = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic/unistd.h"))


@pytest.mark.skipif(not any(path.exists() for path in HEADERS), reason="the kernel's headers tell the numbers")
def test_this_machine_s_numbers_are_the_kernel_s() -> None:
    column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
    header = next(path for path in HEADERS if path.exists())
    numbers = {}
    for line in header.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[1].startswith(("__NR_", "__NR3264_")) and words[2].isdecimal():
            numbers[words[1].partition("_NR")[2].lstrip("_364").lstrip("_")] = int(words[2])
    known = {**seccomp._DENIED, **seccomp._ABSENT, "clone": seccomp._CLONE}
    known |= {**seccomp._SENDING, "splice": seccomp._SPLICE}
    known |= {name: pair for name, (pair, _) in seccomp._OPEN.items()}
    ours = {name: pair[column] for name, pair in known.items() if pair[column] is not None}
    assert ours == {name: numbers[name] for name in ours}


@pytest.mark.skipif(not is_root, reason="only root may become another user")
class TestAnotherUser:
    """Root becomes nobody."""

    def test_root_becomes_nobody_irrevocably(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        (tmp_path / "sets").mkdir()
        (tmp_path / "sets" / "one").touch(0o600)

        def child() -> tuple[Dropped, dict[str, str], list[str], int]:
            os.chdir(tmp_path)
            with Directory.open(tmp_path) as directory:
                directory.give_to(NOBODY.uid, NOBODY.gid)
            dropped = drop_privileges(NOBODY)
            tried = [
                outcome(lambda: os.setuid(0)),
                outcome(lambda: Path("/etc/shadow").read_bytes()),
                outcome(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
                outcome(lambda: Path("sets/one").read_bytes()),
            ]
            return dropped, status(), tried, capable_threads()

        dropped, state, tried, capable = run_in_child(child)
        assert (dropped.uid, dropped.notes, capable) == (NOBODY_ID, (), 0)
        assert state["Uid"].split() == [str(NOBODY_ID)] * 4
        assert (state["Groups"], state["CapBnd"]) == (str(NOBODY_ID), "0" * 16)
        assert tried == ["EPERM", "EACCES", "EPERM", "done"]
        assert {path.stat().st_uid for path in (tmp_path, *tmp_path.rglob("*"))} == {NOBODY_ID}

    def test_a_child_that_becomes_nobody_dies_with_its_parent(self, tmp_path: Path) -> None:
        directory = RunDirectory.create(tmp_path, "name", "run")

        def child() -> int:
            PrivilegeDrop(NOBODY, (), ()).now(directory)
            signal_number = ctypes.c_int(0)
            libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(signal_number), 0, 0, 0)
            return signal_number.value

        assert run_in_child(child) == signal.SIGKILL

    def test_the_user_behind_sudo_is_chosen_else_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        everywhere = Path("/")
        monkeypatch.setattr(os, "access", lambda *_: True)
        assert user_to_become("auto", everywhere)[0] == NOBODY
        monkeypatch.setenv("SUDO_UID", "1")
        monkeypatch.setenv("SUDO_GID", "2")
        user, notes = user_to_become("auto", everywhere)
        assert user is not None
        assert (user.uid, user.gid, notes) == (1, 2, ())
        monkeypatch.setenv("SUDO_UID", "0")
        assert user_to_become("auto", everywhere)[0] == NOBODY
        assert user_to_become("root", everywhere) == (None, ())

    def test_a_directory_out_of_reach_is_reported(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o700)
        below = tmp_path / "sets"
        below.mkdir()
        user, notes = user_to_become("auto", below)
        assert user is None
        assert notes[0].startswith(f"the user stays root: nobody cannot reach {below}: ")
        with pytest.raises(UnsupportedError, match="user: 'nobody': nobody cannot reach"):
            user_to_become("nobody", below)

    def test_in_a_lab_nobody_else_exists(self) -> None:
        def child() -> tuple[tuple[User | None, tuple[str, ...]], str]:
            enter_private_network()
            try:
                user_to_become("nobody", Path("/"))
            except UnsupportedError as error:
                return user_to_become("auto", Path("/")), str(error)
            return user_to_become("auto", Path("/")), ""

        (user, notes), stderr = run_in_child(child)
        if status()["CapEff"] == "0" * 16 or "private" in stderr:
            pytest.fail("this root has no user namespace")
        assert user is None
        assert "this user namespace has no user nobody (65534)" in notes[0]
        assert "this user namespace has no user nobody (65534)" in stderr


def test_users_that_do_not_exist() -> None:
    for name in ("nobody-of-that-name", "4123456789"):
        with pytest.raises(UsageError, match=rf"user: '{name}': no such user"):
            user_to_become(name, Path("/"))
