"""Probes by /24, matched to addresses and rounds, against a dictionary: other networks, early, late, out of order."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from liveness.lab.model.responder.state import LOG_FIELDS
from liveness.lab.model.surveys.arrivals import EARLY_NS, ProbesByBlock, Schedule, TimingSum
from liveness.planes.blocks import Blocks

INTERVAL_NS, ROUNDS, START_NS = 10_000_000_000, 4, 1_800_000_000_000_000_000
NUMBERS = {"icmp": 0, "tcp/80": 3}
SLASH24 = [5, 9, 300]

ROW = st.tuples(
    st.integers(-1, 6 * 1_000),  # hundredths of a second since the start
    st.sampled_from([4, 5, 9, 10, 300, 70_000]),
    st.integers(0, 255),
    st.sampled_from([0, 3, 7]),
)


@given(st.lists(ROW, max_size=60), st.booleans())
def test_every_probe_is_at_its_address_and_round(rows: list[tuple[int, int, int, int]], in_order: bool) -> None:
    log = np.zeros(len(rows), LOG_FIELDS)
    for place, (after, slash24, octet, kind) in enumerate(sorted(rows) if in_order else rows):
        log[place] = START_NS + after * 10_000_000, slash24 * 256 + octet, place, kind, 0
    blocks = Blocks.of(np.array(SLASH24, np.uint32))
    phases_ms = np.random.default_rng(3).integers(0, 9_000, 256 * len(SLASH24)).astype(np.uint32)
    schedule = Schedule(START_NS, INTERVAL_NS, ROUNDS, tuple(NUMBERS), phases_ms)
    probes, sum_of_all = ProbesByBlock(log, blocks, schedule, list(NUMBERS.values())), TimingSum()
    assert len(probes) == len(SLASH24)
    for probe, number in NUMBERS.items():
        due_ns = schedule.due_ns(probe)
        elsewhere = [row for row in rows if row[3] == number and row[1] not in SLASH24]
        assert probes.elsewhere[number] == len(elsewhere)
        for block, slash24 in enumerate(SLASH24):
            expected, early, beyond = [], 0, 0
            for row in log[(log["probe"] == number) & (log["target"] >> 8 == slash24)]:
                octet = int(row["target"]) & 255
                since_ns = int(row["time_ns"]) - int(due_ns[256 * block + octet])
                place, late_ns = divmod(since_ns + EARLY_NS, INTERVAL_NS)
                early += place < 0
                beyond += place >= ROUNDS
                if 0 <= place < ROUNDS:
                    expected.append((octet, int(row["time_ns"]), place, late_ns - EARLY_NS, int(row["delay_us"])))
            came = probes.of_block(block, probe)
            columns = (came.index, came.rows["time_ns"], came.number, came.late_ns, came.rows["delay_us"])
            found = list(zip(*(column.tolist() for column in columns), strict=True))
            assert Counter(found) == Counter(expected)
            assert [row[:2] for row in found] == sorted(row[:2] for row in expected)
            assert (came.strays, came.after) == (early, beyond)
            sum_of_all.add(came)
    times_ns = [sorted(log["time_ns"][log["target"] >> 8 == slash24].tolist()) for slash24 in SLASH24]
    apart = [later - earlier for times in times_ns for earlier, later in pairwise(times)]
    timing = sum_of_all.timing(probes, schedule)
    assert timing.closest_ms == (min(apart) / 1e6 if apart else None)
    assert np.flatnonzero(probes.seen).tolist() == sorted({row[3] for row in rows})
