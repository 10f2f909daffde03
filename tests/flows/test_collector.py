"""The collector's files: two starts within a second, and a clock that is set back."""

import socket
import threading
import time
from pathlib import Path

import pytest

from liveness.flows import collector as collectors
from liveness.flows.collector import Collector
from liveness.flows.record import empty

NOW_S = 1_700_000_000.5


def make(folder: Path, interval_s: int = 600) -> Collector:
    return Collector(folder, "127.0.0.1", 0, interval_s, lambda _: None)


def test_spools_of_one_second_have_names_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW_S)
    (tmp_path / "flows-2023-11-14T221320Z-2.parquet").touch()  # what an earlier one became is not replaced
    names = []
    for _ in range(3):
        spool = make(tmp_path)._begin_spool()
        spool.append(empty(1))
        spool.close()
        names.append(spool.path.name)
    assert names == [f"flows-2023-11-14T221320Z{behind}.spool" for behind in ("", "-3", "-4")]


def test_a_clock_that_is_set_back_ends_the_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"s": NOW_S}
    monkeypatch.setattr(time, "time", lambda: clock["s"])
    monkeypatch.setattr(collectors, "POLL_S", 0.01)
    converted: list[Path] = []
    monkeypatch.setattr(Collector, "_convert", lambda _self, spool: converted.append(spool))
    collector = make(tmp_path)
    with collector.open() as handle, socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
        thread = threading.Thread(target=collector.run, args=(handle,))
        thread.start()
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.spool")) and time.monotonic() < deadline:
            time.sleep(0.01)
        clock["s"] -= 86_400  # the interval would last a day longer
        while not converted and time.monotonic() < deadline:
            time.sleep(0.01)
        collector.stopping = True
        thread.join()
    assert [path.name for path in converted] == ["flows-2023-11-14T221320Z.spool", "flows-2023-11-13T221320Z.spool"]
