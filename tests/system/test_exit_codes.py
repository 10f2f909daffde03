"""Exit codes of processes that signals end are those that a shell gives."""

import signal
import subprocess
import sys

import pytest

from liveness.system.exit_codes import exit_code_of, shown_by_shells

ENDS = "import os, signal; signal.signal({number}, signal.SIG_DFL); os.kill(os.getpid(), {number})"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_shell_gives_the_same_code(number: int) -> None:
    program = ENDS.format(number=int(number)) if number != signal.SIGKILL else "import os; os.kill(os.getpid(), 9)"
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    shell = subprocess.run(["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, program], check=False)
    assert shown_by_shells(ended.returncode) == exit_code_of(number) == shell.returncode


def test_other_codes_are_as_they_are() -> None:
    assert [shown_by_shells(code) for code in (0, 1, 5, 130)] == [0, 1, 5, 130]
