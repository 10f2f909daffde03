"""`lab exec` seen from outside: exit codes, signals, terminals, and that nothing is left behind."""

import os
import pty
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from liveness.cli.lab import command
from liveness.errors import UsageError

pytestmark = pytest.mark.lab

LAB = """
name: small
networks:
  - {name: one, kind: host, prefixes: [10.1.0.0/30], listen: [80], dns: answer}
"""

EXEC = [sys.executable, "-c", "from liveness.cli.main import run; run()", "lab", "exec", "--plain", "--internet"]

COUNTER = """
import signal, sys, time
seen = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, _: seen.append(number))
print("up", flush=True)
end = time.monotonic() + 10
while not seen and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.3)
print([int(number) for number in seen], flush=True)
sys.exit(40 + len(seen))
"""


@pytest.fixture
def lab_exec(tmp_path: Path) -> list[str]:
    file = tmp_path / "small.yaml"
    file.write_text(LAB)
    return [*EXEC, str(file), "--"]


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Mark everything the test starts by its environment; all of it must be gone soon after the test."""
    mark = f"LIVENESS_TEST_MARK={uuid.uuid4()}"
    monkeypatch.setenv(*mark.split("="))
    yield mark
    end = time.monotonic() + 5
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.02)
    assert not marked(mark)


def marked(mark: str) -> dict[str, str]:
    """Return the network namespaces of the processes started with this mark, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                if mark.encode() in (entry / "environ").read_bytes():
                    found[entry.name] = str((entry / "ns/net").readlink())
    return found


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_the_exit_code_is_the_command_s(lab_exec: list[str], script: str, code: int) -> None:
    assert subprocess.run([*lab_exec, "sh", "-c", script], check=False).returncode == code


def test_output_and_arguments_pass_unchanged(lab_exec: list[str]) -> None:
    done = subprocess.run(
        [*lab_exec, "printf", "%s|", "-v", "--help", "a b"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "-v|--help|a b|"


def test_inside_one_is_root_with_raw_sockets_and_the_usual_files(lab_exec: list[str], tmp_path: Path) -> None:
    script = (
        "import os, socket, pathlib; socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close();"
        "c = socket.create_connection(('10.1.0.2', 80), 2); print(os.getuid(), c.getpeername()[0]);"
        f"pathlib.Path({str(tmp_path)!r}, 'left').write_text('here')"
    )
    done = subprocess.run([*lab_exec, sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "10.1.0.2"]
    assert (tmp_path / "left").stat().st_uid == os.getuid()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_reaches_the_command_once(lab_exec: list[str], number: signal.Signals) -> None:
    with subprocess.Popen([*lab_exec, sys.executable, "-c", COUNTER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.stdout.read() == f"[{int(number)}]\n"
    assert process.returncode == 41


def test_ctrl_c_on_a_terminal_reaches_the_command_once(lab_exec: list[str]) -> None:
    leader, follower = pty.openpty()
    arguments = [*lab_exec, sys.executable, "-c", COUNTER]
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", *arguments], stdin=follower, stdout=follower, stderr=follower
    ) as process:
        os.close(follower)
        text = b""
        while b"up" not in text:
            text += os.read(leader, 1000)
        os.write(leader, b"\x03")
        process.wait(timeout=20)
        text += os.read(leader, 1000)
        os.close(leader)
    assert b"[2]" in text
    assert process.returncode == 41


def test_what_the_command_leaves_running_is_ended(lab_exec: list[str]) -> None:
    done = subprocess.run(
        [*lab_exec, "sh", "-c", "setsid sleep 600 & echo $!"], capture_output=True, text=True, timeout=30, check=True
    )
    assert not Path(f"/proc/{done.stdout.strip()}").exists()


def test_killing_the_lab_takes_command_hosts_and_namespaces_with_it(lab_exec: list[str], mark: str) -> None:
    with subprocess.Popen([*lab_exec, "sh", "-c", "echo up; exec sleep 600"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        before = marked(mark)
        assert len(before) >= 5  # the lab, the command, the supervisor and its init, the servers
        assert len(set(before.values())) >= 2
        process.kill()
    # the fixture waits for the rest to go


def test_a_lab_in_a_lab_works(lab_exec: list[str]) -> None:
    done = subprocess.run([*lab_exec, *lab_exec, "sh", "-c", "echo deep; exit 5"], capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (b"deep\n", 5)


def test_a_dead_server_ends_the_command_and_is_reported(tmp_path: Path) -> None:
    """A daemon that dies under a census would make it look like loss: the command is ended instead."""
    file = tmp_path / "clock.yaml"
    file.write_text(
        "name: clock\nnetworks: [{name: a, kind: host, prefixes: [10.1.0.0/30], ntp: answer, daemons: [chronyd]}]"
    )
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "chronyd").write_text(
        f"#!{sys.executable}\nimport socket, time\n"
        "handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); handle.bind(('', 123))\n"
        "time.sleep(0.5); print('my spring broke')\n"
    )
    (folder / "chronyd").chmod(0o755)
    arguments = [argument for argument in EXEC if argument != "--plain"]
    done = subprocess.run(
        [*arguments, str(file), "--", "sleep", "600"],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "liveness: error: the lab's chronyd of network 'a' ended: my spring broke" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_reported_before_anything_is_built() -> None:
    with pytest.raises(UsageError, match=r"'no-such-program': no such command"):
        command.main(["exec", "--", "no-such-program"], standalone_mode=False)
