"""SIGUSR1 and SIGUSR2: the rate of a running scan, in steps of 5 %, with a record of each."""

import os
import signal
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from liveness.scan.supervisor import Supervisor

if TYPE_CHECKING:
    from liveness.scan.shared import Shared


def test_each_signal_is_a_step_and_is_recorded() -> None:
    supervisor = cast("Supervisor", SimpleNamespace(rate_changes=[], tuner=None))
    shared = cast("Shared", SimpleNamespace(rate_pps=np.array([1000.0])))
    before = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)]
    with Supervisor._rate_signals(supervisor, shared, time.time_ns()):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert shared.rate_pps[0] == pytest.approx(1050)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert shared.rate_pps[0] == pytest.approx(997.5)
        shared.rate_pps[0] = 1.0
        os.kill(os.getpid(), signal.SIGUSR2)
        assert shared.rate_pps[0] == 1.0  # never slower than a packet a second
    assert [rate_pps for _, rate_pps in supervisor.rate_changes] == pytest.approx([1050, 997.5, 1])
    assert [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)] == before
