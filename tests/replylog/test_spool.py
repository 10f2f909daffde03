"""A spool that brings its own idea of memory, or is no file: nothing of it is believed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from liveness.errors import LivenessError
from liveness.replies import REPLY_DTYPE
from liveness.replylog.spool import MAGIC, read_spool, spool_header
from tests.replylog.replies import PROBES, replies

OURS = [[name, kind] for name, kind, *_ in REPLY_DTYPE.descr]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    batch = replies(10)
    path = tmp_path / "one.spool"
    path.write_bytes(spool_header(PROBES, REPLY_DTYPE) + batch.tobytes() + b"cut")
    found = read_spool(path)
    assert np.array_equal(found.replies, batch)
    assert (found.probes, found.cut_bytes) == (PROBES, 3)


@pytest.mark.parametrize(
    "dtype",
    [
        [[name, "O"] for name, _ in OURS],
        [[name, "O" if name == "time_ns" else kind] for name, kind in OURS],
        OURS[:-1],
        [*OURS, ["more", "|u1"]],
        OURS[::-1],
        [["time_ns", ">i8"], *OURS[1:]],
        [["time_ns", "|V0"]],
        [["time_ns", "<i8", [1 << 40]]],
        [["time_ns", "u1," * 1000]],
        [],
        None,
        "O",
        {"time_ns": "O"},
    ],
)
def test_a_layout_of_its_own_is_refused(tmp_path: Path, dtype: object) -> None:
    path = tmp_path / "one.spool"
    header = json.dumps({"probes": PROBES, "dtype": dtype}).encode()
    path.write_bytes(MAGIC + header + b"\n" + replies(10).tobytes())
    with pytest.raises(LivenessError, match=r"one\.spool: .*(its records lie as in no spool|not a spool of replies)"):
        read_spool(path)


@pytest.mark.parametrize("probes", [None, 5, "icmp", [1], [None], {"icmp": 1}])
def test_probes_that_are_no_names_are_refused(tmp_path: Path, probes: object) -> None:
    path = tmp_path / "one.spool"
    path.write_bytes(MAGIC + json.dumps({"probes": probes, "dtype": OURS}).encode() + b"\n")
    with pytest.raises(LivenessError, match="not a spool of replies"):
        read_spool(path)


def test_a_pipe_is_no_spool(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "one.spool")
    with pytest.raises(LivenessError, match="not a regular file"):
        read_spool(tmp_path / "one.spool")
