"""The process that runs a program on live frames, because such a call of the kernel lasts for seconds.

The kernel needs some 25 ms to begin a call of more than one run, so that calls are long. A call ends early only by a
signal. Therefore a process makes it, which is killed when its ring is empty or closed. It gives up all privileges
first: it needs none.
"""

import ctypes
import errno
import os
import signal
import struct
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final

from liveness.system.child import close_all_but, die_with_parent, fork
from liveness.system.ebpf import BPF_PROG_RUN, bpf
from liveness.system.privileges import drop_privileges

BPF_F_TEST_XDP_LIVE_FRAMES: Final = 1 << 1
BATCH: Final = 128
"""Most runs of the program that end with one handover to the driver."""
RUNS: Final = (1 << 32) - 1
"""Runs of one call, as many as the kernel allows: they last a minute or more, also without frames."""
FIRST_FRAMES: Final = 256
"""Largest number of frames that are sent one by one, in some 10 us each, before the first long call."""
FIRST_S: Final = 0.001
BEYOND_ERRNO: Final = 255
"""Exit code for an error whose errno does not fit, which Linux does not have."""


def batch_for(period: int) -> int:
    """Return the number of runs of a batch for frames whose lengths repeat after `period` frames.

    A batch of whole periods uses the same pages for the same lengths again, which the processor predicts: with the nine
    probes of a census a frame costs 4 ns less.
    """
    return BATCH // period * period or BATCH


def run_on_live_frames(program: int, page: "ctypes.Array[ctypes.c_char]", runs: int, batch: int = BATCH) -> None:
    """Run a program, a descriptor, `runs` times on pages that begin as copies of `page`. Raises OSError.

    The frames of the runs that return XDP_REDIRECT are sent; their packets seem to come from the loopback interface.
    """
    context_and_results = (0, 0, 0, 0, 0)
    bpf(
        BPF_PROG_RUN,
        struct.pack(
            "=IIIIQQIIIIQQIIII",
            *(program, 0, len(page), 0, ctypes.addressof(page), 0, runs),
            *context_and_results,
            *(BPF_F_TEST_XDP_LIVE_FRAMES, 0, batch, 0),
        ),
    )


def cores_for_sending(allowed: AbstractSet[int], taken: AbstractSet[int]) -> AbstractSet[int]:
    """Return the cores for the process that sends; the owner of the ring is bound to those `taken` of the `allowed`.

    It gets other cores than the owner, if there are any: on one core, each delays the other. The receiver of a scan may
    have to share its core then, which its ring allows.
    """
    return allowed - taken or taken


class Pump:
    """Child process that sends the frames of a ring. It is started and stopped as often as needed."""

    def __init__(self, program: int, page_bytes: int, batch: int, settled: Callable[[], int]) -> None:
        """Prepare to run `program`, a descriptor, on `batch` pages of `page_bytes` bytes, on the cores of this process.

        `settled` returns how many frames of the ring have been sent or lost, in any process.
        """
        self.page_bytes = page_bytes
        """Length of the pages from the next start on: a frame of this length costs least."""
        self._program = program
        self._batch = batch
        self._settled = settled
        self._cores = frozenset(os.sched_getaffinity(0))
        self._pid = 0
        self._owner = 0

    def keep_running(self, *, at_once: bool = True) -> int:
        """Start the process unless it runs; return the errno with which the kernel refused its last call, or 0.

        Frames that wait leave `at_once`, before the first long call begins. Otherwise the process begins with that.
        """
        if self._runs():
            ended, status = os.waitpid(self._pid, os.WNOHANG)
            if not ended:
                return 0
            self._pid = 0
            code = os.waitstatus_to_exitcode(status)
            if code > 0:
                return code
        self._owner = os.getpid()
        self._pid = fork()
        if self._pid == 0:
            try:
                self._run(at_once=at_once)
            finally:
                os._exit(errno.EIO)
        return 0

    def stop(self) -> None:
        """End the process, if it runs. Frames on their way to the driver leave first, all others stay in the ring."""
        if self._runs():
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._pid = 0

    def _runs(self) -> bool:
        """Return whether this process has started the pump. A forked child inherits the object, not the process."""
        return self._pid > 0 and self._owner == os.getpid()

    def _run(self, *, at_once: bool) -> None:
        """Call the kernel until a whole call has sent nothing, in the child process."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)  # only the owner of the ring ends it
        with suppress(OSError):  # a core was taken offline meanwhile: the scheduler chooses
            os.sched_setaffinity(0, cores_for_sending(self._cores, os.sched_getaffinity(0)))
        close_all_but((self._program,))
        drop_privileges(None)
        die_with_parent(self._owner)  # after the drop, which cancels it
        if at_once:
            self._send_first()
        page, before = ctypes.create_string_buffer(self.page_bytes), -1
        while (now := self._settled()) != before:
            before = now
            try:
                run_on_live_frames(self._program, page, RUNS, self._batch)
            except OSError as error:
                if error.errno == errno.EINTR:  # it was stopped and continued
                    before = -1
                    continue
                os._exit(min(error.errno or BEYOND_ERRNO, BEYOND_ERRNO))
        os._exit(0)

    def _send_first(self) -> None:
        """Send the first frames by calls of one run, which the kernel begins at once, such as the frame of a trial."""
        page, before = ctypes.create_string_buffer(self.page_bytes), -1
        for _ in range(FIRST_FRAMES):
            if (now := self._settled()) == before:
                time.sleep(FIRST_S)  # if this was all, the process is killed before it begins a long call
                return
            before = now
            try:
                run_on_live_frames(self._program, page, 1)
            except OSError as error:
                os._exit(min(error.errno or BEYOND_ERRNO, BEYOND_ERRNO))
