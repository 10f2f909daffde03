"""Gaps against brute force: a probe counts as not sent exactly if its slot lies in one, and concerns its address."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from liveness.order.rounds import Rounds
from liveness.order.slots import slot_tables
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals
from liveness.survey.gaps import Gap, Gaps, unsent_bits
from liveness.survey.withdrawals import withdrawn_entries

START_NS = 1_577_836_800_000_000_000
INTERVAL_NS = 999_983
NUMBERS = np.array([0x0A0100, 0x0A0105], np.uint32)
ROUNDS = 4


def order_of(probes: int) -> Rounds:
    return Rounds(NUMBERS, slot_tables(NUMBERS, probes, 7), START_NS, INTERVAL_NS, ROUNDS, marks_of_rounds=7)


TIMES = st.integers(-INTERVAL_NS, (ROUNDS + 1) * INTERVAL_NS)
OCTETS = st.one_of(st.none(), st.tuples(st.integers(0, 255), st.integers(0, 255)).map(sorted))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.lists(st.tuples(TIMES, TIMES, OCTETS), max_size=4))
def test_a_probe_is_in_a_gap_or_not(probes: int, drawn: list[tuple[int, int, list[int] | None]]) -> None:
    order, gaps = order_of(probes), Gaps()
    for start, end, octets in drawn:
        targets = [] if octets is None else [f"10.1.5.{octets[0]}-10.1.5.{octets[1]}"]
        gaps = gaps.with_gap(Gap(start_ns=START_NS + start, end_ns=START_NS + end, cause="x", targets=targets))
    for number in range(ROUNDS):
        found = unsent_bits(order, number, gaps)
        for probe in range(probes):
            slots = order.address_slots(probe)
            expected = np.zeros(512, np.bool_)
            for index in range(512):
                due_ns = order.due_ns(number * order.slots + int(slots[index])) - START_NS
                expected[index] = any(
                    start <= due_ns < end
                    and (octets is None or (index >= 256 and octets[0] <= index - 256 <= octets[1]))
                    for start, end, octets in drawn
                )
            bits = np.zeros(64, np.uint8) if found is None else found[probe]
            assert np.array_equal(np.unpackbits(bits, bitorder="little").astype(np.bool_), expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TIMES, st.integers(0, 255)), max_size=5), st.integers(0, 255))
def test_an_address_is_withdrawn_from_its_first_slot_after_it_opted_out(
    drawn: list[tuple[int, int]], never: int
) -> None:
    order, gaps = order_of(2), Gaps()
    for after_ns, octet in sorted(drawn):
        address = 0x0A010000 + octet
        gaps = gaps.with_withdrawal(START_NS + after_ns, Intervals.from_bounds([address], [address]))
    left_out = Intervals.from_bounds([0x0A010500 + never], [0x0A010500 + never])
    found: dict[str, int] = {}
    for entry in withdrawn_entries(order, left_out, gaps, ROUNDS):
        first, last = (int(name.rpartition(".")[2]) for name in (entry.first, entry.last))
        found |= {f"{entry.first.rpartition('.')[0]}.{octet}": entry.round for octet in range(first, last + 1)}
    expected = {format_address(0x0A010500 + never): 0}
    slots = order.address_slots(0)
    times: dict[int, int] = {}
    for after_ns, octet in drawn:
        times[octet] = min(after_ns, times.get(octet, after_ns))
    for octet, after_ns in times.items():
        rounds = [
            number
            for number in range(ROUNDS)
            if order.due_ns(number * order.slots + int(slots[octet])) - START_NS >= after_ns
        ]
        if rounds:
            expected[format_address(0x0A010000 + octet)] = rounds[0]
    assert found == expected
