"""The responder's process: reads blocks from a ring, answers them, sends due replies, and records each run."""

import select
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from liveness.errors import LivenessError
from liveness.lab.model.responder import state
from liveness.lab.model.responder.bytes import flat_bytes
from liveness.lab.model.responder.conditions import Conditions
from liveness.lab.model.responder.probe_log import ProbeLog
from liveness.lab.model.responder.queue import forget
from liveness.lab.model.responder.record import Record, Summary, has_record, read_summary, summarise
from liveness.lab.model.responder.respond import emit, respond_block
from liveness.lab.model.responder.state import Model
from liveness.lab.model.responder.verdict import Verdict
from liveness.net.ring import RxRing, TxRing
from liveness.packets.block import pack_block
from liveness.runs.announce import announced
from liveness.system.warming import Step, load_kernels

BATCH: Final = 256
IDLE_S: Final = 0.02
BUSY_S: Final = 0.001
"""How long a block is awaited while replies wait to be sent."""
FULL_S: Final = 0.0005


class Responder:
    """A model of the Internet with a receive and a send ring; `run` is its main loop."""

    def __init__(
        self,
        model: Model,
        conditions: Conditions,
        population: str,
        rx_ring: RxRing,
        tx_ring: TxRing,
        runs: Path,
        vantage: str = "",
    ) -> None:
        """Answer with `model`, made under `conditions`; `population` is the text of its file, for the records.

        `runs` is the file in which scans announce their run directories. `vantage` is the name of their place.
        """
        self.vantage = vantage
        self._vantage_runs = 0
        self.model = model
        self.conditions = conditions
        self.population = population
        self.rx_ring = rx_ring
        self.tx_ring = tx_ring
        self.runs = runs
        self.known_runs = 0
        self._disk = ThreadPoolExecutor(1)  # writes a record while probes of the next scan arrive
        self._writing: Future[None] | None = None
        self.current: Path | None = None
        self.record = Record()
        self.log: ProbeLog | None = None
        self.overrun_before = 0
        self.malformed: dict[str, int] = {}
        """Malformed frames of all runs, by fault."""
        self.overrun = 0
        self.packets = 0
        self.replies = 0
        self.out, self.step = flat_bytes(tx_ring.frames)
        self.lengths = np.zeros(len(tx_ring.frames), np.uint16)
        self.targets = np.zeros(BATCH, np.uint32)
        self.events = np.zeros(BATCH, np.uint8)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Answer until `stopping` returns True, then write the last run's record.

        LivenessError if link or disk fails.
        """
        run_all((self,), stopping)

    @property
    def patience_s(self) -> float:
        """How long packets may be awaited before replies have to be sent."""
        return BUSY_S if self.model.numbers[state.WAITING] > 0 else IDLE_S

    def close(self) -> None:
        """Write the last run's record, and close the rings. LivenessError if the disk fails."""
        try:
            self.end_run()
            self._written()
        finally:
            self._disk.shutdown()
            self.rx_ring.close()
            self.tx_ring.close()

    def turn(self, wait_s: float | None = None) -> None:
        """Answer the next block if one arrives, by default within `patience_s`, and send due replies."""
        block = self.rx_ring.blocks(self.patience_s if wait_s is None else wait_s)
        if block is not None:
            self._look_for_run()  # a run is announced before its first packet
            respond_block(self.model, block)
            self.rx_ring.release()
            self._note_losses()
        self._send_due()

    def _note_losses(self) -> None:
        count = int(self.model.numbers[state.LOST_COUNT])
        self.record.lose(self.model.lost_targets[:count], self.model.lost_events[:count])
        self.model.numbers[state.LOST_COUNT] = 0
        if self.log is not None:
            self.log.take(self.model)
        else:
            self.model.numbers[state.LOG_COUNT] = 0

    def _send_due(self) -> None:
        """Send due replies until none is left or the ring is full."""
        while True:
            first, free = self.tx_ring.reserve(BATCH)
            if free == 0:
                self.tx_ring.wait(FULL_S)
                return
            now_ns = time.time_ns()
            sent = emit(self.model, now_ns, self.out, self.step, first, free, self.lengths, self.targets, self.events)
            self.tx_ring.commit(sent, self.lengths)
            if sent:
                self.record.sent(self.targets[:sent], self.events[:sent])
                self.tx_ring.kick()
            if sent < free:
                return

    def _look_for_run(self) -> None:
        """Begin a new record for every run that a scan has announced."""
        for run in announced(self.runs, self.known_runs):
            self.known_runs += 1
            self.end_run()
            self.current = run
            if len(self.model.log_ns):
                self.log = ProbeLog(run)
            self._begin_run(run)

    def _begin_run(self, run: Path) -> None:
        """Set the model's clock and the number of the run as in an earlier session: time passed in between, too."""
        self._written()
        earlier = read_summary(run) if has_record(run) else None
        if earlier is None:
            self.model.settings[state.RUN] = self._vantage_runs
            self._vantage_runs += 1
            return
        self.model.settings[state.RUN] = earlier.vantage_run
        clock = earlier.clock
        if clock is not None and len(self.model.log_ns):
            self.model.clock[[state.REAL_NS, state.MODEL_NS, state.SPEED]] = clock.real_ns, clock.model_ns, clock.speed

    def end_run(self) -> None:
        """Write the record of the current run, if there is one, and begin a new record."""
        drops = self.rx_ring.statistics().drops
        overrun, self.overrun_before = drops - self.overrun_before, drops
        self.overrun += overrun
        self.packets += int(self.model.verdicts.sum() - self.model.verdicts[Verdict.TRIAL])
        self.replies += int(self.model.numbers[state.REPLIES])
        for verdict, count in zip(Verdict, self.model.verdicts.tolist(), strict=True):
            if verdict.malformed and count:
                self.malformed[verdict.label] = self.malformed.get(verdict.label, 0) + count
        if self.current is not None and self.current.is_dir():
            summary = summarise(self.model, lossless=self.conditions.lossless, overrun=overrun)
            summary.vantage, summary.vantage_run = self.vantage, int(self.model.settings[state.RUN])
            summary.ended_ns = [time.time_ns()]
            self._written()
            self._writing = self._disk.submit(self._write, self.current, self.record, self.log, summary)
        self.current, self.log = None, None
        self._forget()

    def _write(self, run: Path, record: Record, log: ProbeLog | None, summary: Summary) -> None:
        """Write all that is recorded of a run into its directory."""
        if log is not None:
            log.write()
        record.write(run, summary, self.population)

    def _written(self) -> None:
        """Wait until the last record is on disk."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _forget(self) -> None:
        """Drop waiting replies and counts: they belong to no run, or to one that has ended."""
        forget(self.model)
        self.record = Record()
        self.model.verdicts[:] = 0
        self.model.lost[:] = 0
        self.model.numbers[[state.REPLIES, state.DUPLICATED, state.NOISY, state.UNLOGGED, state.SLOWEST_TICKS]] = 0


def run_all(responders: Sequence[Responder], stopping: Callable[[], bool]) -> None:
    """Answer for all vantage points until `stopping` returns True, then write the records of their last runs.

    LivenessError if a link or the disk fails.
    """
    try:
        while not stopping():
            if len(responders) == 1:
                responders[0].turn()
                continue
            patience_s = min(responder.patience_s for responder in responders)
            select.select([responder.rx_ring.fileno() for responder in responders], [], [], patience_s)
            for responder in responders:
                responder.turn(0.0)
    finally:
        with ExitStack() as cleanup:
            for responder in responders:
                cleanup.callback(responder.close)


def load_responder(model: Model, tx_ring: TxRing) -> None:
    """Load the kernels before packets arrive and fill the ring; what is not compiled yet, a child process compiles."""
    load_kernels([Step("answers of the model", partial(warm_up, model, tx_ring))])


def warm_up(model: Model, tx_ring: TxRing) -> None:
    """Compile the kernels, or load them from their cache.

    `model` answers a frame that is no probe, which changes nothing.
    """
    respond_block(model, pack_block([(0, bytes(60))]))
    model.verdicts[:] = 0
    out, step = flat_bytes(tx_ring.frames)
    lengths = np.zeros(len(tx_ring.frames), np.uint16)
    sent = emit(model, 0, out, step, 0, 0, lengths, np.zeros(1, np.uint32), np.zeros(1, np.uint8))
    if sent:
        raise LivenessError("the far end had something to send before anybody asked")
