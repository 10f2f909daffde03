"""Claim of a stored run: one command at a time redacts it."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from liveness.errors import LivenessError, RefusedError
from liveness.fleet.layout import REDACTION
from liveness.fleet.lease import GRACE_S, Holder, LostError
from liveness.fleet.store import Store, StoreError

CLAIM_S: Final = 60.0
"""How long a claim holds after its command was killed."""
RENEWALS: Final = 6
LOOK_S: Final = 1.0


@contextmanager
def claimed(store: Store, job: str, note: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Claim the stored run of a job, and give it back at the end; wait while another command has it.

    Yields a check that raises StoreError if the claim was lost, because the store was out of reach for too long.
    """
    holder = _taken(store, job, note)
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(holder, ended), name="claim", daemon=True)
    thread.start()

    def check() -> None:
        try:
            holder.check()
        except LostError as error:
            raise StoreError(str(error)) from error

    try:
        yield check
    finally:
        ended.set()
        thread.join()
        holder.length_s = -GRACE_S
        with suppress(LivenessError):  # it expires by itself
            holder.renew("done")


def _taken(store: Store, job: str, note: Callable[[str], None]) -> Holder:
    """Return a claim as soon as nobody else has one."""
    word = secrets.token_hex(8)
    holder = Holder(store, f"{job}/{REDACTION}", "a command", word, word, os.uname().nodename, os.getpid(), CLAIM_S)
    noted = False
    while True:
        try:
            holder.take()
        except RefusedError as error:
            if not noted:
                note(str(error))
            noted = True
            time.sleep(LOOK_S)
        else:
            return holder


def _renew(holder: Holder, ended: threading.Event) -> None:
    """Renew a claim until its end."""
    while not ended.wait(CLAIM_S / RENEWALS):
        with suppress(LivenessError):  # it is tried again, and checked before anything is replaced
            holder.renew("storing")
