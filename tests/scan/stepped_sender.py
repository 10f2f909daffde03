"""A sender that runs in the thread of a test, on a clock that only its own sleeps advance.

The load of the machine changes nothing. A script of conditions and actions plays the supervisor; it is looked at after
every frame and every sleep.
"""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from types import ModuleType

import pytest

from liveness.config.model import from_document
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.probes.template import LinkAddresses
from liveness.scan.plan import Plan
from liveness.scan.send import sender, transmitter
from liveness.scan.send.sender import Sender, warm_up
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import parse_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets

FIRST = parse_address("10.1.0.0")
COUNT = 900
RATE_PPS = 1_000
PROBES = ("icmp", "tcp/80")
FRAMES = COUNT * len(PROBES)
EPOCH_NS = 1_800_000_000 * 10**9
"""The time of day at which the clock of a sender shows 0, ns since 1970."""
LONGEST_S = 60.0
"""A sender that runs longer, on its own clock, does not end."""

Script = Generator[Callable[[], bool], None, None]
"""Yields conditions; what follows is done as soon as one holds."""


class Clock(ModuleType):
    """The time module of a sender: sleeping advances the clock, and nothing else does."""

    def __init__(self, slept: Callable[[], None]) -> None:
        super().__init__("time")
        self.now_s = 100.0
        self.slept = slept

    def monotonic(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)

    def time_ns(self) -> int:
        return EPOCH_NS + self.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        assert self.now_s < 100.0 + LONGEST_S, "this sender never ends"
        self.slept()


class Running:
    """A sender with a script, and when each of its frames left."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        cooldown: str = "0s",
        *,
        rate_pps: int = RATE_PPS,
        slots: int = 64,
        frame_s: float = 0.0,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        """Prepare a sender over a ring of `slots`, in which a frame takes `frame_s` to leave.

        `fields` are those of the config that differ from the usual ones.
        """
        config = from_document(
            {
                "name": "hold",
                "targets": {"allow": ["10.1.0.0/16"]},
                "probes": list(PROBES),
                "control": False,
                "rate": f"{rate_pps}pps",
                "probe_spacing": "1ms",
                "cooldown": cooldown,
                "retransmit": {"attempts": 1},
            }
            | dict(fields or {})
        )
        targets = Intervals.from_bounds([FIRST], [FIRST + COUNT - 1])
        self.plan = Plan(config, Targets.build(targets, Intervals.empty(), lab=True), None, bytes(16))
        self.constants = constants_of(self.plan, LinkAddresses(bytes(6), bytes(6)), (parse_address("198.51.100.7"),))
        warm_up(self.plan, self.constants)
        self.shared = Shared(self.plan)
        self.frames: list[tuple[float, bytes]] = []
        self.slots, self.frame_s = slots, frame_s
        self.clock = Clock(self._look)
        for module in (sender, transmitter):
            monkeypatch.setattr(module, "time", self.clock)
        for name in ("Pacer", "SpacingGuard"):
            monkeypatch.setattr(sender, name, partial(getattr(sender, name), clock=self.clock.monotonic))
        self._script: Script | None = None
        self._condition: Callable[[], bool] = lambda: True

    def run(self, script: Script) -> None:
        """Run the sender to its end. AssertionError unless all of the script was done by then."""
        self._script, self._condition = script, next(script)
        ring = MemoryTxRing(self._send, MemoryRxRing(), slots=self.slots)
        Sender(self.plan, self.constants, ring, self.shared, 0).run()
        self._look()
        assert self._script is None, "the sender ended before the script"

    def after(self, seconds: float) -> Callable[[], bool]:
        until_s = self.clock.now_s + seconds
        return lambda: self.clock.now_s >= until_s

    def _send(self, frame: bytes) -> tuple[bytes, ...]:
        self.clock.now_s += self.frame_s
        self.frames.append((self.clock.now_s, frame))
        self._look()
        return ()

    def _look(self) -> None:
        while self._script is not None and self._condition():
            try:
                self._condition = next(self._script)
            except StopIteration:
                self._script = None
