"""Networks in numbers: targets that answer or not, a capacity that probes share, replies that take their time."""

from dataclasses import dataclass, field

import numpy as np

from liveness.scan.rate.ramp import Ramp
from liveness.scan.rate.slices import Sample

STEP_S = 0.1
SPACING_S = 0.1


@dataclass
class Model:
    """A network and the scan of it, in steps of STEP_S.

    `hit_rates` is how often each probe is answered; an alive target answers several (`alive` is the share of those).
    `capacity_pps` packets a second of all probes pass, the rest is lost, or waits in a queue of `queue_packets` first.
    `late` replies come after one to six seconds. `bursts`: now and then everything is half lost for a second.
    `drift` is how much the share of alive targets changes in a minute. `sender_pps` is all that the senders manage.
    """

    seed: int
    hit_rates: tuple[float, ...]
    capacity_pps: float | None = None
    queue_packets: float = 0.0
    late: float = 0.02
    bursts: bool = False
    drift: float = 0.0
    sender_pps: float | None = None
    own_drops_above_pps: float | None = None
    block_s: float | None = None
    time_s: float = 0.0
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.probes = len(self.hit_rates)
        self.sent = np.zeros(self.probes, np.int64)
        self.hits = np.zeros(self.probes, np.int64)
        self.coming = np.zeros((100, self.probes), np.int64)
        self.owed = 0.0
        self.waiting = 0.0
        self.given_up_s = 0.0
        self.drops = 0
        self.burst_s = 0.0
        self.highest = max(*self.hit_rates, 1e-12)

    def run(self, ramp: Ramp, seconds: float) -> Ramp:
        """Scan for so long."""
        until = self.time_s + seconds
        while self.time_s < until:
            self.step(ramp.update(self.sample()))
        return ramp

    def sample(self) -> Sample:
        block = 0 if self.block_s is None else int(self.time_s // self.block_s)
        return Sample(
            self.time_s,
            block,
            self.sent.copy(),
            self.hits.copy(),
            int(self.sent.sum() + self.hits.sum()),
            self.drops,
            self.given_up_s,
        )

    def step(self, rate_pps: float) -> None:
        self.rates.append(rate_pps)
        if self.sender_pps is not None and rate_pps > self.sender_pps:
            self.given_up_s += STEP_S * (1 - self.sender_pps / rate_pps)
            rate_pps = self.sender_pps
        if self.own_drops_above_pps is not None and rate_pps > self.own_drops_above_pps:
            self.drops += int((rate_pps - self.own_drops_above_pps) * STEP_S)
        self.owed += rate_pps * STEP_S
        targets = int(self.owed)
        self.owed -= targets
        self.sent += targets
        alive = self.highest * (1 + self.drift * self.time_s / 60)
        answering = self.random.binomial(targets, min(1.0, alive))
        passed = self._passing(targets)
        for probe, hit_rate in enumerate(self.hit_rates):
            hits = self.random.binomial(answering, hit_rate / self.highest * passed)
            late = self.random.binomial(hits, self.late)
            first = 1 + int(probe * SPACING_S / STEP_S)
            self.coming[first : first + 3, probe] += self.random.multinomial(hits - late, [0.5, 0.3, 0.2])
            self.coming[first + 10 : first + 60, probe] += self.random.multinomial(late, np.full(50, 0.02))
        self.hits += self.coming[0]
        self.coming[:-1] = self.coming[1:]
        self.coming[-1] = 0
        self.time_s += STEP_S

    def _passing(self, targets: int) -> float:
        """Return the share of what is sent now that gets through."""
        share = 1.0
        if self.capacity_pps is not None:
            offered = targets * self.probes
            room = self.capacity_pps * STEP_S
            self.waiting = max(0.0, self.waiting + offered - room)
            if self.waiting > self.queue_packets:
                share = max(0.0, 1 - (self.waiting - self.queue_packets) / max(1, offered))
                self.waiting = self.queue_packets
        if self.bursts:
            if self.burst_s <= 0 and self.random.random() < STEP_S / 20:
                self.burst_s = 1.0
            if self.burst_s > 0:
                self.burst_s -= STEP_S
                share *= 0.5
        return share
