"""SIGUSR1 and SIGUSR2: the rate of a running scan, in steps of 5 %, with a record of each."""

import os
import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from liveness.config.units import MIN_RATE_PPS
from liveness.scan.interruption import rate_signals
from liveness.scan.totals import SessionTotals

if TYPE_CHECKING:
    from liveness.scan.shared import Shared


def test_each_signal_is_a_step_and_is_recorded() -> None:
    shared = cast("Shared", SimpleNamespace(rate_pps=np.array([1000.0])))
    session = SessionTotals("lo", shared)
    before = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)]
    with rate_signals(session, np.inf):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert shared.rate_pps[0] == pytest.approx(1050)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert shared.rate_pps[0] == pytest.approx(997.5)
        shared.rate_pps[0] = float(MIN_RATE_PPS)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert shared.rate_pps[0] == float(MIN_RATE_PPS)  # never slower than a config may say
    assert [change.rate_pps for change in session.rate_changes] == pytest.approx(
        [1050, 997.5, float(MIN_RATE_PPS)], abs=1e-3
    )
    times = [change.after_s for change in session.rate_changes]
    assert 0 <= times[0] <= times[1] <= times[2] <= session.elapsed_s + 0.001
    assert [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)] == before


def test_a_ceiling_is_reached_and_not_passed() -> None:
    shared = cast("Shared", SimpleNamespace(rate_pps=np.array([1000.0])))
    session = SessionTotals("lo", shared)
    with rate_signals(session, 1080.0):
        rates = []
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
            rates.append(float(shared.rate_pps[0]))
    assert rates == pytest.approx([1050, 1080, 1080])
