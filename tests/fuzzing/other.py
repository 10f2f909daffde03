"""The kernels in their other form: a child that runs them as plain Python where they are compiled here, or the reverse.

The child answers each frame (verify flag, length, bytes) with status and record of it.
"""

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from liveness.kernel import COMPILED
from liveness.replies import REPLY_DTYPE
from tests.fuzzing.examiner import Examiner

REPOSITORY: Final = Path(__file__).parents[2]
_QUESTION: Final = struct.Struct("<?I")
_STATUS: Final = struct.Struct("<i")


@dataclass
class OtherForm:
    """The child, as its parent sees it."""

    requests: IO[bytes]
    answers: IO[bytes]

    def outcome(self, frame: bytes, *, verify: bool) -> tuple[int, bytes]:
        """Return status and record of a frame."""
        self.requests.write(_QUESTION.pack(verify, len(frame)) + frame)
        self.requests.flush()
        (status,) = _STATUS.unpack(self.answers.read(_STATUS.size))
        return status, self.answers.read(REPLY_DTYPE.itemsize)


def other_environment() -> dict[str, str]:
    """Return the environment in which kernels take their other form."""
    return {**os.environ, "NUMBA_DISABLE_JIT": "1" if COMPILED else "0"}


@contextmanager
def other_form() -> Iterator[OtherForm]:
    """Start the child, and end it with the block."""
    command = [sys.executable, "-m", "tests.fuzzing.other"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, env=other_environment()
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the child has no pipes")
        yield OtherForm(child.stdin, child.stdout)
        child.stdin.close()


def main() -> None:
    """Answer until no more questions come."""
    examiner = Examiner()
    while question := sys.stdin.buffer.read(_QUESTION.size):
        verify, length = _QUESTION.unpack(question)
        status, records = examiner.outcome(sys.stdin.buffer.read(length), verify=verify)
        sys.stdout.buffer.write(_STATUS.pack(status) + records.tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
