"""Sinks: a second one, which keeps no sets, gets every accepted reply that the sets of the same run get."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from liveness.errors import LivenessError
from liveness.net.memory import MemoryRxRing, MemoryTxRing
from liveness.probes.template import LinkAddresses
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import CENSUS_SINKS, Plan
from liveness.scan.receive import receiver
from liveness.scan.receive.receiver import Receiver
from liveness.scan.receive.sink import Conclusion, Received, SinkKind, concluded
from liveness.scan.send.sender import Sender
from liveness.scan.session import constants_of
from liveness.scan.shared import Shared
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from tests.scan.instruments import CountingSinks
from tests.scan.test_census_in_memory import CONTROL_PORT, COUNT, FIRST, SOURCE, Network, small_config

LINK = LinkAddresses(bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))


def fails(error: LivenessError) -> None:
    raise error


def received_with(
    sinks: tuple[SinkKind, ...], folder: Path, run: str
) -> tuple[Plan, RunDirectory, Network, Conclusion]:
    """Scan in memory with these sinks; return what became of them."""
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    plan = replace(Plan(small_config(), targets, CONTROL_PORT, bytes(range(16))), sinks=sinks)
    network = Network({FIRST + 3: "host", FIRST + 300: "closed", FIRST + 650: "host"}, {(FIRST + 3, 1)})
    constants = constants_of(plan, LINK, (SOURCE,))
    rx_ring = MemoryRxRing()
    tx_ring = MemoryTxRing(network, rx_ring, slots=20 * len(plan.probes) * plan.attempts, frames_a_kick=100)
    shared = Shared(plan)
    directory = RunDirectory.create(folder, "memory", run)
    Sender(plan, constants, tx_ring, shared, 0).run()
    shared.finish[0] = 1
    assert Receiver(plan, constants, rx_ring, shared, directory).run() is None
    return plan, directory, network, concluded(plan, directory, Received.of(directory), fails)


def test_a_second_sink_counts_what_the_sets_hold(tmp_path: Path) -> None:
    _, directory, _, kept = received_with((*CENSUS_SINKS, CountingSinks()), tmp_path, "both")
    counts = json.loads((directory.path / "counts.json").read_text())
    # two attempts each, of which the first frame to one target was lost on the way
    assert counts["10.1.0.3 icmp"] + counts["10.1.0.3 tcp/80"] + counts["10.1.0.3 dns"] == 2 * 3 - 1
    assert counts["10.1.1.44 tcp/80"] == 2
    of_sets = {
        f"{format_address(target)} {entry.probe}"
        for entry in kept.fields["sets"]
        if entry.role == "target"
        for target in directory.read_set(entry)
    }
    assert set(counts) == of_sets
    assert sum(counts.values()) == kept.fields["messages"]["counted"]["all"]


def test_a_run_without_the_census_keeps_no_set(tmp_path: Path) -> None:
    _, directory, _, kept = received_with((CountingSinks(),), tmp_path, "counted")
    _, both, _, _ = received_with((*CENSUS_SINKS, CountingSinks()), tmp_path, "both")
    assert kept.fields["sets"] == []
    assert not list(directory.path.rglob("*.roaring"))
    assert (directory.path / "counts.json").read_bytes() == (both.path / "counts.json").read_bytes()


def test_a_sink_that_cannot_conclude_keeps_no_other_from_it(tmp_path: Path) -> None:
    class Failing(SinkKind):
        def open(self, context: object) -> None:
            del context

        def conclude(self, plan: Plan, directory: RunDirectory, received: Received) -> Conclusion:
            raise LivenessError(f"{directory.path}: no space left: {plan.config.name}, {received.tally.packets}")

    plan, directory, _, _ = received_with((CountingSinks(),), tmp_path, "run")
    failures: list[str] = []
    plan = replace(plan, sinks=(Failing(), CountingSinks()))
    kept = concluded(plan, directory, Received.of(directory), lambda error: failures.append(str(error)))
    assert len(failures) == 1
    assert "no space left" in failures[0]
    assert "counted" in kept.fields["messages"]
    with pytest.raises(LivenessError, match="no space left"):
        concluded(plan, directory, Received.of(directory), fails)


class RingOfTwoCpus(MemoryRxRing):
    """A ring not in order of time, with packets of one CPU that all came after the end, and then of another."""

    def __init__(self, late: int, frames: int) -> None:
        super().__init__(packets_a_block=1)
        now_ns = time.time_ns()
        for number in range(frames):
            self.deliver(bytes(60), now_ns + (3600 * 10**9 if number < late else -1000))
        self.given = 0
        self.frames = frames

    def release(self) -> None:
        super().release()
        self.given += 1

    def unread_now(self) -> Callable[[], bool]:
        """Return whether blocks of the other CPU are left, as a function."""
        return lambda: self.given < self.frames - 2


def test_a_receiver_ends_when_it_has_read_what_was_there_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "confine_to", lambda *_: True)
    monkeypatch.setattr(receiver, "leave_cache", lambda: None)
    targets = Targets.build(Intervals.from_bounds([FIRST], [FIRST + COUNT - 1]), Intervals.empty(), lab=True)
    plan = replace(Plan(small_config(), targets, CONTROL_PORT, bytes(range(16))), sinks=(CountingSinks(),))
    constants = constants_of(plan, LINK, (SOURCE,))
    for number, (ring, read) in enumerate(
        ((RingOfTwoCpus(late=9, frames=9), 7), (RingOfTwoCpus(late=3, frames=9), 9), (RingOfTwoCpus(1, 1), 1))
    ):
        shared = Shared(plan)
        shared.finish[0] = 1
        directory = RunDirectory.create(tmp_path, "memory", f"run{number}")
        assert Receiver(plan, constants, ring, shared, directory, confined=True).run() is None
        assert int(shared.packets[0]) == read
