"""Compiled and plain kernels are one: they make the same frames, and match thousands of mutated ones alike."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import COMPILED
from liveness.packets.parse import ACCEPTED, FIELDS
from liveness.replies import REPLY_DTYPE, Rejection
from tests.frames import NAMES, Scanner, Settings
from tests.probes.mutations import sample_frames

SCANNERS = (
    Scanner(),
    Scanner(Settings(key=b"\xff" * 16, port_first=1, port_last=65535, attempts=4, sources=(1, 2**32 - 1, 2**31))),
)
TARGETS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xC6336407, 0xFFFFFFFF)
TIMES = (0, 1_795_305_600_123_456_789, 2**63 - 1)
REPOSITORY = Path(__file__).parents[2]


def frames_made() -> list[bytes]:
    return [
        scanner.frame(name, target, attempt, now_ns)
        for scanner in SCANNERS
        for name in NAMES
        for target in TARGETS
        for attempt in range(scanner.settings.attempts)
        for now_ns in TIMES
    ]


def outcomes(scanner: Scanner, frames: list[bytes]) -> tuple[list[int], NDArray[np.void]]:
    """Return the status of each frame, with and without checksums verified, and the records of the accepted ones."""
    statuses, accepted = [], []
    row, records = np.zeros(FIELDS, np.int64), np.zeros(1, REPLY_DTYPE)
    for frame in frames:
        memory = np.frombuffer(frame, np.uint8).copy()
        for check in (True, False):
            records[:] = 0
            place = slice(0, len(frame))
            status = scanner.match(memory, place, row, records, check_ip=check, check_transport=check)
            statuses.append(int(status))
            if status == ACCEPTED:
                accepted.append(records.copy())
    return statuses, np.concatenate(accepted)


def answer(path: Path) -> None:
    """Write what this process makes and matches of the frames in a file beside it."""
    frames: list[list[bytes]] = pickle.loads(path.read_bytes())  # noqa: S301 - written by the test
    results = [outcomes(scanner, sample) for scanner, sample in zip(SCANNERS, frames, strict=True)]
    path.with_suffix(".answer").write_bytes(pickle.dumps((COMPILED, frames_made(), results)))


def test_compiled_and_plain_kernels_do_the_same(tmp_path: Path) -> None:
    frames = [list(sample_frames(scanner, 10, mutations=8, seed=20261122)) for scanner in SCANNERS]
    path = tmp_path / "frames"
    path.write_bytes(pickle.dumps(frames))
    command = (
        "import sys; from pathlib import Path; from tests.probes.test_compiled import answer; answer(Path(sys.argv[1]))"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1" if COMPILED else "0"}
    subprocess.run([sys.executable, "-c", command, str(path)], check=True, cwd=REPOSITORY, env=environment)
    other_compiled, other_made, other_results = pickle.loads(path.with_suffix(".answer").read_bytes())  # noqa: S301
    assert other_compiled is not COMPILED
    assert other_made == frames_made()
    for scanner, sample, (other_statuses, other_records) in zip(SCANNERS, frames, other_results, strict=True):
        statuses, records = outcomes(scanner, sample)
        assert len(statuses) > 2000
        assert statuses == other_statuses
        assert records.tobytes() == other_records.tobytes()
        assert len(records) > len(statuses) // 10
        assert len(set(statuses) - {ACCEPTED}) > len(Rejection) // 2
