"""Workers: how many under `auto`, and cores that nobody shares."""

from hypothesis import given
from hypothesis import strategies as st

from liveness.config.packets_per_24 import SENDER_PPS
from liveness.scan.workers import PIN_PPS, receivers_for, senders_for, share_cores

RATES = st.floats(1, 1e9)
CORES = st.integers(1, 128)


@given(st.integers(1, 64), RATES, CORES)
def test_a_number_is_taken_as_it_is(wanted: int, total_pps: float, cores: int) -> None:
    assert senders_for(wanted, total_pps, cores) == wanted
    assert receivers_for(wanted, total_pps, cores) == wanted


@given(RATES, CORES)
def test_auto_suffices_for_the_rate_as_far_as_cores_do_and_leaves_one_to_receive(total_pps: float, cores: int) -> None:
    senders = senders_for("auto", total_pps, cores)
    assert 1 <= senders <= max(1, cores - 1)
    assert senders * SENDER_PPS >= total_pps or senders == max(1, cores - 1)
    assert (senders - 1) * SENDER_PPS < total_pps, "one less would not do"
    assert 1 <= receivers_for("auto", total_pps, cores) <= senders


def test_the_paper_s_rate_takes_one_sender_and_one_receiver() -> None:
    assert (senders_for("auto", 900_000, 8), receivers_for("auto", 900_000, 8)) == (1, 1)
    assert (senders_for("auto", 9_000_000, 16), receivers_for("auto", 9_000_000, 16)) == (9, 3)


@given(st.integers(1, 8), st.integers(1, 8), st.lists(st.integers(0, 255), min_size=1, max_size=20, unique=True))
def test_who_has_a_core_has_it_alone(senders: int, receivers: int, cores: list[int]) -> None:
    shares = share_cores(senders, receivers, PIN_PPS * senders, cores)
    assert (len(shares.senders), len(shares.receivers)) == (senders, receivers)
    taken = [core for core in (*shares.senders, *shares.receivers) if core is not None]
    assert len(taken) == len(set(taken))
    assert set(taken) <= set(cores)
    assert len(taken) == (senders + receivers if senders + receivers <= len(cores) else 0)


def test_nobody_is_pinned_at_a_rate_that_leaves_cores_idle() -> None:
    shares = share_cores(2, 1, 2 * PIN_PPS - 1, range(8))
    assert shares.senders == (None, None)
    assert shares.receivers == (None,)
    assert share_cores(2, 1, 2 * PIN_PPS, range(8)).senders == (7, 6)
