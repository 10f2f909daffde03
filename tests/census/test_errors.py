"""Wrong input that takes a private network or a missing privilege to show: one line, the right exit code, nothing left.

Errors of configs and command lines that any process can make are in tests/cli.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.census.support import EXEC, LIVENESS, run, write_yaml

pytestmark = pytest.mark.lab

UNPRIVILEGED: Final = (
    sys.executable,
    "-c",
    """
import ctypes, os, sys
PR_CAPBSET_DROP = 24
libc = ctypes.CDLL(None)
last = int(open("/proc/sys/kernel/cap_last_cap").read())
assert all(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0 for capability in range(last + 1))
os.execv(sys.argv[1], sys.argv[1:])
""",
)
"""Runs a command with no capability, though its user be root there: what a program may gain is bounded by nothing."""

LAB: Final = "name: one\nnetworks: [{name: hosts, kind: host, prefixes: [10.1.0.0/30]}]\n"

InLab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def in_lab(tmp_path: Path) -> InLab:
    """Run a command in a lab of four addresses."""
    lab = tmp_path / "one.yaml"
    lab.write_text(LAB)

    def in_lab(*command: str | Path) -> subprocess.CompletedProcess[str]:
        return run(*EXEC, "--plain", "--internet", lab, "--", *command)

    return in_lab


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def scan(tmp_path: Path, output: Path) -> tuple[str, ...]:
    """Return a command that would scan the lab without fault."""
    document = {"name": "four", "targets": {"allow": ["10.1.0.0/30"]}, "cooldown": "1s", "output": str(output)}
    return (*LIVENESS, "scan", "-q", "-C", str(write_yaml(tmp_path / "census.yaml", document)))


def check_told(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check for the exit code and for one line on standard error that has all of the words."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("liveness: error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def check_nothing_left(output: Path) -> None:
    """Check that there is not even a directory of the census's name."""
    assert list(output.rglob("*")) == []


@pytest.mark.usefixtures("compiled")
def test_the_command_is_right_where_nothing_is_wrong(in_lab: InLab, scan: tuple[str, ...], output: Path) -> None:
    done = in_lab(*scan)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).parent == output / "four"


def test_a_missing_privilege(in_lab: InLab, scan: tuple[str, ...], output: Path) -> None:
    check_told(in_lab(*UNPRIVILEGED, *scan), 3, "CAP_NET_RAW", "setcap", "liveness lab exec")
    check_nothing_left(output)


def test_a_missing_privilege_where_the_gateway_is_given(in_lab: InLab, scan: tuple[str, ...], output: Path) -> None:
    """Nobody is asked by ARP then: the rings are the first to need it."""
    check_told(in_lab(*UNPRIVILEGED, *scan, "-G", "02:00:00:00:00:02"), 3, "CAP_NET_RAW")
    check_nothing_left(output)


def test_an_interface_that_is_not_there(in_lab: InLab, scan: tuple[str, ...], output: Path) -> None:
    check_told(in_lab(*scan, "-i", "nosuch0"), 2, "'nosuch0'", "scan0")
    check_nothing_left(output)


def test_an_interface_that_is_not_ethernet(in_lab: InLab, scan: tuple[str, ...], output: Path) -> None:
    check_told(in_lab(*scan, "-i", "lo"), 2, "interface lo", "neither Ethernet frames nor IP packets")
    check_nothing_left(output)


def test_public_targets_without_a_contact_in_a_lab(in_lab: InLab, scan: tuple[str, ...], output: Path) -> None:
    check_told(in_lab(*scan, "192.0.1.0/24"), 4, "$.contact")
    check_nothing_left(output)


def test_a_blocklist_that_may_not_be_read(in_lab: InLab, scan: tuple[str, ...], output: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("10.1.0.1\n")
    secret.chmod(0)
    check_told(in_lab(*UNPRIVILEGED, *scan, "-b", secret), 2, str(secret), "Permission denied")
    check_nothing_left(output)


def test_an_output_that_may_not_be_written(in_lab: InLab, scan: tuple[str, ...], output: Path) -> None:
    output.mkdir(mode=0o500)
    check_told(in_lab(*UNPRIVILEGED, *scan), 2, str(output), "Permission denied")
    check_nothing_left(output)


def test_a_list_of_targets_with_none_in_it(in_lab: InLab, scan: tuple[str, ...], output: Path, tmp_path: Path) -> None:
    (tmp_path / "nobody.txt").write_text("# nobody yet\n")
    check_told(in_lab(*scan, "-w", tmp_path / "nobody.txt"), 2, "$.targets.allow", "the allow list is empty")
    check_nothing_left(output)
