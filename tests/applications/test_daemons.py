"""Talks with real daemons: each is an answer for its own application, and payload on the port of another one."""

import tempfile
from pathlib import Path

import msgspec
import pytest

from tests.applications.daemons import ADDRESSES, ALERTING, TLS, WHOLE, WRONG, daemons
from tests.applications.support import (
    PORTS,
    Sets,
    captured,
    config_of,
    connections_left,
    own,
    requests_in,
    resets_in,
    scanned,
    sets_of,
)
from tests.net.support import cable, in_private_network

pytestmark = pytest.mark.lab


def expected() -> Sets:
    sets: Sets = {}
    for port in PORTS.values():
        answering = {WHOLE} | ({*TLS.values(), ALERTING} if port == 443 else set())
        sets[f"tcp/{port}", "syn-ack"] = answering | {WRONG}
        sets[f"tcp/{port}", "answer"] = answering
        sets[f"tcp/{port}", "payload"] = {WRONG}
        if port != 443:
            sets[f"tcp/{port}", "rst"] = {*TLS.values(), ALERTING}
    return sets


@in_private_network
def test_real_daemons_answer_for_their_own_application_and_are_asked_once() -> None:
    with tempfile.TemporaryDirectory() as name, cable() as peer:
        folder = Path(name)
        own(peer, ADDRESSES)
        with daemons(peer, folder), captured(peer) as packets:
            directory, manifest = scanned(config_of(name, senders=2, talk={"wait": "1m"}), ADDRESSES)
            left = connections_left(peer)
        assert (manifest.status, manifest.reason) == ("complete", None)
        assert sets_of(directory, manifest) == expected()
        requests = requests_in(packets)
        opened = {
            (address, int(probe.removeprefix("tcp/")))
            for (probe, kind), addresses in expected().items()
            for address in addresses
            if kind == "syn-ack"
        }
        assert set(requests) == opened
        talk = manifest.talk
        assert talk is not msgspec.UNSET
        assert talk["talks"] == len(opened)
        assert talk["talks"] + talk["repeats"] == requests.total()
        assert talk["resets"] == resets_in(packets), "a reset that is not the talker's"
        assert talk["refused"] == talk["lost_events"] == talk["lost_verdicts"] == 0
        assert left == [], "a reset that the peer did not accept"
