"""The collection against dictionaries: sets, message counts, weak evidence and the attempts that replies prove."""

import tempfile
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.replies import (
    ERROR_TYPES,
    REPLY_DTYPE,
    TALK,
    UNKNOWN_ATTEMPT,
    VERDICTS,
    Kind,
    ReplyKey,
    Role,
    SetKey,
    Tier,
)
from liveness.runs.merge import Gathered, merge
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, Tally, write_segment
from liveness.scan.receive.collection import CLASSES, Collection, reply_key
from tests.frames import Reply

PROBES = ("icmp", "tcp/80", "dns", "tcp/control")
ATTEMPTS = 3
FEW_ADDRESSES = st.integers(0, 7) | st.sampled_from([0x80000000, 0xFFFFFFFF])


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    kind = draw(st.sampled_from(Kind))
    codes = st.integers(0, 15) | st.just(255)
    error = (draw(st.sampled_from(ERROR_TYPES)), draw(codes)) if kind == Kind.ERROR else (0, 0)
    target = draw(FEW_ADDRESSES)
    return Reply(
        probe=draw(st.sampled_from(PROBES)),
        kind=kind,
        target=target,
        source=draw(FEW_ADDRESSES | st.just(target)),
        attempt=draw(st.integers(0, ATTEMPTS - 1) | st.just(UNKNOWN_ATTEMPT)),
        tier=draw(st.sampled_from(Tier)),
        error=error,
    )


BATCHES = st.lists(st.lists(replies(), max_size=12), max_size=4)


def records(batch: list[Reply]) -> NDArray[np.void]:
    array = np.zeros(len(batch), REPLY_DTYPE)
    for record, reply in zip(array, batch, strict=True):
        for field in ("time_ns", "rtt_ns", "source", "target", "kind", "attempt", "tier"):
            record[field] = getattr(reply, field)
        record["probe"] = PROBES.index(reply.probe)
        record["icmp_type"], record["icmp_code"] = reply.error
    return array


def without(counts: Counter[str], pattern: str) -> dict[str, int]:
    return {other: count for other, count in counts.items() if other != pattern}


def key_of(reply: Reply) -> ReplyKey:
    return ReplyKey(reply.probe, reply.kind, *(reply.error if reply.kind == Kind.ERROR else ()))


def collected(batches: list[list[Reply]]) -> Collection:
    collection = Collection(PROBES, ATTEMPTS)
    for batch in batches:
        collection.add(records(batch))
    return collection


def finished(collection: Collection) -> list[tuple[PartKey, BitMap]]:
    return [(key, collector.finish()) for key, collector in collection.take().items()]


def gathered(*collections: Collection) -> Gathered:
    """Return what these collections come to, each written as a segment of its own."""
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory.create(Path(folder), "run", "1")
        for number, collection in enumerate(collections):
            by_attempt, weak = collection.take_counts()
            path = directory.segment_path(number % 2, number)
            write_segment(path, Tally(by_attempt=by_attempt, weak=weak), finished(collection))
        return merge(directory, directory.segments(), PROBES, ATTEMPTS)


def sets_of(*collections: Collection) -> dict[SetKey, set[int]]:
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory.create(Path(folder), "run", "1")
        for number, collection in enumerate(collections):
            write_segment(directory.segment_path(0, number), Tally(), finished(collection))
        entries = merge(directory, directory.segments(), PROBES, ATTEMPTS).sets
        return {entry.key: set(directory.read_set(entry)) for entry in entries}


def with_one_outcome(sets: dict[SetKey, set[int]]) -> dict[SetKey, set[int]]:
    """Return sets in which an address has one outcome for each TCP probe and role: the one that counts most."""
    kept = {key: set(members) for key, members in sets.items()}
    for key, members in kept.items():
        if key.reply.probe.startswith("tcp/") and key.reply.kind in TALK:
            for kind in TALK[: TALK.index(key.reply.kind)]:
                members -= sets.get(SetKey(ReplyKey(key.reply.probe, kind), key.role), set())  # noqa: PLW2901 - in place
    return {key: members for key, members in kept.items() if members}


@given(BATCHES)
def test_sets_hold_sources_targets_and_who_answered_for_himself(batches: list[list[Reply]]) -> None:
    expected: defaultdict[SetKey, set[int]] = defaultdict(set)
    for reply in (reply for batch in batches for reply in batch):
        expected[SetKey(key_of(reply), Role.SOURCE)].add(reply.source)
        expected[SetKey(key_of(reply), Role.TARGET)].add(reply.target)
        if reply.kind in (Kind.ERROR, Kind.ECHO_REPLY) and reply.source == reply.target:
            expected[SetKey(key_of(reply), Role.DIRECT)].add(reply.source)
    finished = sets_of(collected(batches))
    assert finished == with_one_outcome(expected)
    order = [(PROBES.index(key.reply.probe), key.reply.kind) for key in finished]
    assert order == sorted(order)


@given(BATCHES)
def test_every_message_is_counted_and_weak_ones_apart(batches: list[list[Reply]]) -> None:
    tally = gathered(collected(batches)).tally
    everything = [reply for batch in batches for reply in batch]
    messages = {
        probe: {label: sum(counts) for label, counts in labels.items()} for probe, labels in tally.by_attempt.items()
    }
    for counts, counted in (
        (messages, everything),
        (tally.weak, [reply for reply in everything if reply.tier == Tier.WEAK]),
    ):
        expected: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for reply in counted:
            expected[reply.probe][key_of(reply).label] += 1
        assert counts == expected


@given(BATCHES)
def test_targets_are_counted_by_the_attempts_their_replies_prove(batches: list[list[Reply]]) -> None:
    proven: defaultdict[str, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for reply in (reply for batch in batches for reply in batch):
        if reply.kind not in VERDICTS:  # no packets: they rest on a SYN-ACK, which proves the attempt
            proven[reply.probe][reply.target].add(reply.attempt)
    patterns = {
        probe: Counter("".join("01"[attempt in seen] for attempt in range(ATTEMPTS)) for seen in targets.values())
        for probe, targets in proven.items()
    }
    nothing = "0" * ATTEMPTS
    expected = {probe: counts for probe, seen in patterns.items() if (counts := without(seen, nothing))}
    assert gathered(collected(batches)).attempts == expected


@given(BATCHES)
def test_targets_are_counted_by_attempts_for_each_sign_of_replies_alone(batches: list[list[Reply]]) -> None:
    kinds = {
        "positive": ("echo-reply", "syn-ack", "answer"),
        "negative": ("rst", "payload", "closed", "acked"),
        "error": ("error",),
    }
    expected: dict[str, dict[str, dict[str, int]]] = {}
    for probe, (sign, labels) in product(PROBES, kinds.items()):
        proven: defaultdict[int, list[str]] = defaultdict(lambda: ["0"] * ATTEMPTS)
        for reply in (reply for batch in batches for reply in batch):
            if reply.probe == probe and reply.kind.label in labels and reply.attempt < ATTEMPTS:
                proven[reply.target][reply.attempt] = "1"
        if proven:
            expected.setdefault(probe, {})[sign] = Counter("".join(digits) for digits in proven.values())
    assert gathered(collected(batches)).attempts_by_kind == expected


@given(BATCHES)
def test_duplicates_are_what_came_beyond_the_first_of_each_target_kind_and_attempt(batches: list[list[Reply]]) -> None:
    seen: set[tuple[ReplyKey, int, int]] = set()
    expected: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * ATTEMPTS))
    for reply in (reply for batch in batches for reply in batch):
        fact = key_of(reply), reply.target, reply.attempt
        if fact in seen and reply.attempt != UNKNOWN_ATTEMPT:
            expected[reply.probe][key_of(reply).label][reply.attempt] += 1
        seen.add(fact)
    assert gathered(collected(batches)).duplicates == expected


@given(BATCHES)
def test_batches_may_be_cut_anywhere_and_lie_in_many_segments(batches: list[list[Reply]]) -> None:
    whole = [reply for batch in batches for reply in batch]
    assert sets_of(collected([whole])) == sets_of(*(collected([batch]) for batch in batches))
    at_once, apart = gathered(collected([whole])), gathered(*(collected([batch]) for batch in batches))
    assert at_once.sets == apart.sets  # their bytes too: entries hold digests
    assert (at_once.attempts, at_once.tally) == (apart.attempts, apart.tally)


@given(BATCHES)
def test_what_was_taken_is_not_there_again(batches: list[list[Reply]]) -> None:
    collection = collected(batches)
    collection.take()
    collection.take_counts()
    assert collection.held == 0
    assert collection.take() == {}
    assert collection.take_counts() == ({}, {})


def test_sixteen_probes_of_every_class_fit_the_numbers_they_are_sorted_by() -> None:
    names = [f"tcp/{port}" for port in range(1, 17)]
    array = np.zeros(1, REPLY_DTYPE)
    array["probe"], array["kind"], array["icmp_type"], array["icmp_code"] = 15, Kind.ERROR, 12, 255
    collection = Collection(names, 1)
    collection.add(array)
    assert collection.take_counts()[0] == {"tcp/16": {"error-12-255": [1, 0]}}


def test_a_class_number_names_one_class() -> None:
    keys = [reply_key("dns", number) for number in range(CLASSES)]
    assert len(set(keys)) == CLASSES
    assert sum(key.kind == Kind.ERROR for key in keys) == len(ERROR_TYPES) * 256


def test_nothing_collected_is_nothing() -> None:
    nothing = gathered(collected([[]]))
    assert nothing == Gathered()
