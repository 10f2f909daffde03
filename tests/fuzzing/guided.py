"""Coverage-guided fuzzing with atheris: libFuzzer mutates the golden packets and keeps those that reach new code.

Usage: NUMBA_DISABLE_JIT=1 python -m tests.fuzzing.guided CORPUS [LIBFUZZER OPTIONS]. CORPUS is a directory, filled with
the golden packets first. Leaves with libFuzzer's exit code: not 0 if a packet broke an invariant.
"""

import hashlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["liveness.probes", "liveness.packets"]):
    from liveness.kernel import COMPILED
    from tests.fuzzing.campaign import golden_frames
    from tests.fuzzing.examiner import Examiner

VERIFY_ABOVE = 0xC0


class BrokenInvariantError(Exception):
    """A packet that broke an invariant."""


def main() -> None:
    """Fill the corpus and fuzz."""
    if COMPILED:
        raise SystemExit("coverage guides nothing in compiled kernels: set NUMBA_DISABLE_JIT=1")
    corpus = Path(sys.argv[1])
    for frame in golden_frames():
        for verify in (b"\x00", b"\xff"):
            (corpus / hashlib.sha256(verify + frame).hexdigest()[:16]).write_bytes(verify + frame)
    examiner = Examiner()

    def examine(data: bytes) -> None:
        if data:  # the first byte says whether checksums are verified
            problems = examiner.problems(data[1:], verify=data[0] >= VERIFY_ABOVE)
            if problems:
                raise BrokenInvariantError("; ".join(problems))

    atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], examine)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
