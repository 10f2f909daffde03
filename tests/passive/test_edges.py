"""Edges of the definitions that drawn traffic seldom meets."""

from pathlib import Path

from tests.passive.drawn import EPOCH_S, SECOND
from tests.passive.judge import SYN, UDP, Record
from tests.passive.test_judge import run_of


def test_large_begins_at_ten_packets_or_10240_bytes(tmp_path: Path) -> None:
    at = EPOCH_S * SECOND
    sizes = [(9, 10_239), (9, 10_240), (10, 400)]
    records = [
        Record(at, at, f"80.0.0.{n}", "10.0.0.1", 5000, 5001, UDP, packets, size)
        for n, (packets, size) in enumerate(sizes)
    ]
    assert run_of(tmp_path, records)["totals"]["signs"]["Large"] == 2


def test_counts_that_no_link_carries_are_invalid(tmp_path: Path) -> None:
    at = EPOCH_S * SECOND
    sizes = [(1, 2**44 - 1), (1, 2**44), (2**44, 1), (1, 2**63), (2**63, 1), (1, 2**64 - 1)]
    records = [
        Record(at, at, f"80.0.0.{n}", "10.0.0.1", 5000, 5001, UDP, packets, size)
        for n, (packets, size) in enumerate(sizes)
    ]
    document = run_of(tmp_path, records)
    assert document["records"]["invalid"] == {"impossible-counts": 5}
    assert document["totals"]["one_way"] == {"flows": 1, "packets": 1, "bytes": 2**44 - 1}


def test_services_that_share_a_failing_interval_are_one_outage(tmp_path: Path) -> None:
    records = []
    for server, failing in (("10.0.0.1", (2, 3)), ("10.0.0.2", (3, 4)), ("10.0.0.3", (6,))):
        for interval in range(10):
            at = (EPOCH_S + 600 * interval + 60) * SECOND
            if interval not in failing:
                records += [
                    Record(at, at, "81.0.0.1", server, 5000 + interval, 53, UDP, 1, 80),
                    Record(at + 1, at + 1, server, "81.0.0.1", 53, 5000 + interval, UDP, 1, 80),
                ]
            else:
                records += [
                    Record(at, at, f"80.0.{interval}.{n}", server, 5000, 53, UDP, 1, 80, SYN) for n in range(12)
                ]
    known = [f"10.0.0.{n}/udp/53" for n in (1, 2, 3)]
    outages = run_of(tmp_path, records, services={"known": known})["outages"]
    assert [(outage["services"], outage["clients"]) for outage in outages] == [(known[:2], 36), (known[2:], 12)]
    lengths = [(outage["start"][11:16], outage["end"][11:16]) for outage in outages]
    assert lengths == [("22:40", "23:10"), ("23:20", "23:30")]
