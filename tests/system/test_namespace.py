"""Private networks: what is inside, what comes back from children, and that nothing stays behind."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liveness.errors import LivenessError, UnsupportedError
from liveness.system import namespace
from liveness.system.child import run_in_child
from liveness.system.namespace import enter_private_network, refusal, spawn_namespace


def network(pid: int | str = "self") -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def test_result_and_exception_come_back_from_a_child() -> None:
    assert run_in_child(lambda: {"pid": os.getpid()})["pid"] != os.getpid()
    with pytest.raises(KeyError, match="missing") as caught:
        run_in_child(lambda: dict[str, int]()["missing"])
    assert any("in a child process" in note for note in caught.value.__notes__)


def test_a_child_that_dies_or_answers_what_cannot_be_pickled_is_an_error() -> None:
    with pytest.raises(LivenessError, match="killed by SIGKILL"):
        run_in_child(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(LivenessError, match="exit code 7"):
        run_in_child(lambda: os._exit(7))
    with pytest.raises(Exception, match="pickle"):
        run_in_child(lambda: lambda: None)


def test_large_results_pass() -> None:
    assert len(run_in_child(lambda: b"x" * 3_000_000)) == 3_000_000


@pytest.mark.lab
def test_private_network_has_loopback_only_and_root_inside() -> None:
    def inside() -> tuple[list[str], int, str]:
        before = network()
        enter_private_network()
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=2).close()
        assert network() != before
        return interfaces(), os.geteuid(), Path("/proc/net/route").read_text()

    names, uid, routes = run_in_child(inside)
    assert "lo" in names
    assert "eth0" not in names
    assert uid == 0
    assert routes.count("\n") == 1  # the header only: no route out


@pytest.mark.lab
def test_threads_forbid_entering() -> None:
    def inside() -> None:
        import threading  # noqa: PLC0415 - only this child has a second thread

        stop = threading.Event()
        threading.Thread(target=stop.wait, daemon=True).start()
        enter_private_network()

    with pytest.raises(LivenessError, match="2 threads cannot enter a user namespace: fork first"):
        run_in_child(inside)


@pytest.mark.lab
def test_spawned_namespaces_are_apart_and_run_functions() -> None:
    def inside() -> None:
        enter_private_network()
        here = network()
        with spawn_namespace() as first, spawn_namespace() as second:
            names = {
                first.run(network),
                second.run(network),
            }
            assert len(names | {here}) == 3
            assert network(first.pid) in names
            with pytest.raises(ZeroDivisionError):
                first.run(lambda: 1 // 0)
            pid = first.pid
        assert not Path(f"/proc/{pid}").exists()
        first.close()  # twice is harmless
        assert network() == here

    run_in_child(inside)


@pytest.mark.lab
def test_the_holder_keeps_nothing_of_its_maker_open() -> None:
    def inside() -> None:
        enter_private_network()
        reader, writer = os.pipe()
        with spawn_namespace():
            os.close(writer)
            os.set_blocking(reader, False)
            assert os.read(reader, 1) == b""  # the end of the pipe: nobody else can write to it
        os.close(reader)

    run_in_child(inside)


@pytest.mark.lab
def test_holder_outlives_terminal_signals_and_dies_with_its_maker() -> None:
    script = (
        "import sys, time\n"
        "from liveness.system.namespace import enter_private_network, spawn_namespace\n"
        "enter_private_network(); held = spawn_namespace(); print(held.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        holder = int(maker.stdout.readline())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(holder, number)
        time.sleep(0.1)
        survived = not gone(holder)
        maker.kill()
        assert survived
        assert maker.stdout.read() == ""  # the holder keeps no pipe of its maker open
    deadline = time.monotonic() + 5
    while not gone(holder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(holder)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].startswith(("Z", "X"))
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.lab
def test_without_privilege_spawning_says_what_to_do() -> None:
    def inside() -> None:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        spawn_namespace()

    with pytest.raises(UnsupportedError, match="CAP_SYS_ADMIN is missing"):
        run_in_child(inside)


@pytest.mark.parametrize(
    ("switch", "text", "remedy"),
    [
        ("APPARMOR_SWITCH", "1\n", "kernel.apparmor_restrict_unprivileged_userns=0"),
        ("DEBIAN_SWITCH", "0\n", "kernel.unprivileged_userns_clone=1"),
        ("USER_NAMESPACES_LIMIT", "0\n", "user.max_user_namespaces=10000"),
    ],
)
def test_refusal_names_the_switch(
    switch: str, text: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("APPARMOR_SWITCH", "DEBIAN_SWITCH", "USER_NAMESPACES_LIMIT"):
        monkeypatch.setattr(namespace, name, tmp_path / name)
    assert "run as root" in str(refusal(errno.EPERM))
    (tmp_path / switch).write_text(text)
    assert remedy in str(refusal(errno.EPERM))
    assert "\n" not in str(refusal(errno.EPERM))
