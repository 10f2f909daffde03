"""How deep hypothesis digs (HYPOTHESIS_PROFILE, or `plain` for uncompiled kernels), and signals as at a terminal."""

import logging
import os
import signal

import pytest
from hypothesis import settings

from liveness.cli import messages

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"

# The first call of a kernel compiles it, so no example has a deadline. As plain Python kernels are far slower.
settings.register_profile("default", max_examples=100, deadline=None)
settings.register_profile("plain", max_examples=25, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("plain" if PLAIN else "default"))

# A shell that starts the tests in the background ignores SIGINT for them, and so for every command that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# So does nohup with SIGHUP. A handler that does nothing keeps the tests alive, and is not inherited as "ignored" is.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)

messages.install()  # commands that tests call in this process say on standard error what they say to users


@pytest.fixture(autouse=True)
def _messages_as_in_a_new_process() -> None:
    """Show messages again: a command that ran in the tests' process with -q has hidden them from all that follow."""
    messages.people.setLevel(logging.INFO)
    messages.people.reset()
