"""Talks with services over the kernel's own TCP: outcomes are exact, and no reset of our kernel leaves."""

import tempfile

import msgspec
import pytest

from tests.applications.services import BEHAVIOURS, SPEAKS_FIRST
from tests.applications.support import (
    PORTS,
    Sets,
    captured,
    config_of,
    requests_in,
    resets_in,
    scanned,
    services,
    sets_of,
)
from tests.net.support import cable, in_private_network

FIRST = 16
ADDRESSES = {f"10.9.0.{FIRST + index}": behaviour for index, behaviour in enumerate(BEHAVIOURS)}
CLOSED = f"10.9.0.{FIRST + len(BEHAVIOURS)}"
"""One more address, on which nothing listens: its kernel resets every SYN."""
OUTCOME = {
    "right": "answer",
    "wrong": "payload",
    "endless": "answer",
    "split": "payload",
    "fin": "closed",
    "reset": "closed",
}
pytestmark = pytest.mark.lab


def outcome(behaviour: str, port: int) -> str:
    """Return what a talk comes to."""
    if behaviour == "split" and port == 23:
        return "answer"  # a lone IAC
    if behaviour == "mute":
        return "mute" if port in SPEAKS_FIRST else "acked"
    return OUTCOME[behaviour]


def expected() -> Sets:
    sets: Sets = {}
    for port in PORTS.values():
        for address, behaviour in ADDRESSES.items():
            for kind in ("syn-ack", outcome(behaviour, port)):
                sets.setdefault((f"tcp/{port}", kind), set()).add(address)
        sets[f"tcp/{port}", "rst"] = {CLOSED}
    return sets


@pytest.mark.parametrize("senders", [1, 3])
@in_private_network
def test_every_outcome_is_exact_and_no_reset_of_the_kernel_leaves(senders: int) -> None:
    with tempfile.TemporaryDirectory() as folder, cable() as peer, services(peer, ADDRESSES, CLOSED):
        with captured(peer) as packets:
            directory, manifest = scanned(config_of(folder, senders=senders), (*ADDRESSES, CLOSED))
        assert (manifest.status, manifest.reason) == ("complete", None)
        assert sets_of(directory, manifest) == expected()
        requests = requests_in(packets)
        assert set(requests) == {(address, port) for address in ADDRESSES for port in PORTS.values()}
        talk = manifest.talk
        assert talk is not msgspec.UNSET
        assert talk["talks"] == len(ADDRESSES) * len(PORTS)
        assert talk["talks"] + talk["repeats"] == requests.total()
        assert talk["resets"] == resets_in(packets), "a reset that is not the talker's"
        assert talk["refused"] == talk["lost_events"] == talk["lost_verdicts"] == 0
