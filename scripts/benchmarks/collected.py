"""A collector on loopback, to which another process sends NetFlow v5 datagrams at a given rate of flows."""

import os
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from liveness.flows.collector import Collector
from liveness.system.child import die_with_parent, fork
from scripts.benchmarks.flow_files import RECORDS_A_DATAGRAM, v5_datagrams

PATIENCE_S: Final = 20.0
"""So long after the last datagram was sent the collector gets for what it has in its queue."""
_LATE_S: Final = 0.002


class Collected(NamedTuple):
    """What a collector received, and the CPU time that it took. `sent` and `received` are flows."""

    sent: int
    received: int
    cpu_s: float


def collect(columns: dict[str, np.ndarray], flows_a_second: int) -> Collected:
    """Send these flows to a collector in this process, as fast as asked."""
    datagrams = v5_datagrams(columns)
    sent = len(columns["src"])
    with tempfile.TemporaryDirectory(prefix="liveness-bench-") as folder:
        collector = Collector(Path(folder), "127.0.0.1", 0, 86_400, lambda _line: None)
        with collector.open() as handle:
            port = handle.getsockname()[1]
            parent = os.getpid()
            sender = fork()
            if sender == 0:
                die_with_parent(parent)
                _send(datagrams, port, flows_a_second)
                os._exit(0)
            watcher = threading.Thread(target=_stop_when_done, args=(collector, sender, sent))
            watcher.start()
            begun_s = time.process_time()
            collector.run(handle)
            taken_s = time.process_time() - begun_s
            watcher.join()
    return Collected(sent, collector.flows, taken_s)


def _send(datagrams: list[bytes], port: int, flows_a_second: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        begun_s = time.monotonic()
        for number, datagram in enumerate(datagrams):
            due_s = begun_s + number * RECORDS_A_DATAGRAM / flows_a_second
            if due_s - time.monotonic() > _LATE_S:
                time.sleep(max(0.0, due_s - time.monotonic()))
            handle.sendto(datagram, ("127.0.0.1", port))


def _stop_when_done(collector: Collector, sender: int, wanted: int) -> None:
    """Stop a collector when it has all flows, or long after the sender has ended."""
    os.waitpid(sender, 0)
    deadline = time.monotonic() + PATIENCE_S
    while collector.flows < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    collector.stopping = True
