"""A report says from where a run was sent, what its clock was worth, and whether its blocks began as agreed."""

from msgspec.structs import replace

from liveness.report.page.provenance import caveats, provenance_table
from liveness.runs.manifest import BlockStart, BlockStatus, Clock, Manifest, Shard, Vantage

START = "2026-12-01T00:00:00.000Z"
PLAIN = Manifest(
    name="places", run_id="1", status="complete", seed=1, config={}, started=START, targets=1, probes={}, sets=[]
)
GOOD = Clock(source="chrony", synchronised=True, offset_ms=-0.25, error_ms=1.5, stratum=2, checked=START)


def rows_of(manifest: Manifest) -> dict[str, str]:
    return {str(name): str(value) for name, value in provenance_table(manifest).rows}


def test_a_run_without_a_place_says_nothing_of_one() -> None:
    assert not {"vantage: name", "vantage: clock", "shard", "agreed start"} & rows_of(PLAIN).keys()


def test_the_place_its_clock_and_its_agreed_start_are_shown() -> None:
    shard = Shard(index=1, of=3, start_at=START, late_ms=3.25, offset_s=5.0)
    rows = rows_of(replace(PLAIN, vantage=Vantage(name="ams1", clock=GOOD), shard=shard))
    assert rows["vantage: name"] == "ams1"
    assert rows["vantage: clock"] == "0.250 ms behind true time, error at most 1.500 ms (chrony)"
    assert rows["shard"] == "1 of 3"
    assert rows["agreed start"] == f"{START} + 5 s, begun 3.2 ms after it"


def test_a_clock_that_nothing_synchronises_is_named() -> None:
    clock = Clock(source="kernel", synchronised=False, checked=START)
    assert rows_of(replace(PLAIN, vantage=Vantage(name="a", clock=clock)))["vantage: clock"] == (
        "not synchronised (kernel)"
    )


def test_blocks_that_began_too_late_are_a_caveat() -> None:
    """A reader who compares vantage points must know which blocks they did not probe at the same time."""
    starts = [BlockStart(agreed=START, late_ms=late_ms, synchronised=late_ms < 1e6) for late_ms in (1.0, 2e6, 3e6)]
    blocks = [
        BlockStatus(block=f"{32 * number}.0.0.0/3", targets=1, status="done", start=start)
        for number, start in enumerate(starts)
    ]
    late = "places/1: not synchronised with other vantage points: 2 of 3 blocks, the first 32.0.0.0/3"
    assert late in caveats(replace(PLAIN, blocks=blocks))
    assert caveats(replace(PLAIN, blocks=blocks[:1])) == caveats(PLAIN)
