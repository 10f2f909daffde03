"""Talks over the kernel's own TCP through firewalls that lose chosen segments: each loss has its outcome."""

import subprocess
import tempfile

import msgspec
import pytest

from tests.applications.daemons import program
from tests.applications.services import SPEAKS_FIRST
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

pytestmark = pytest.mark.lab

DATA = "tcp flags & psh == psh"
"""Segments with data: each is the last one of what its program sent at once."""
RULES = {
    "nothing": "",
    "request": "input ip daddr {address} tcp flags & (syn | rst | psh | ack) == ack drop",
    "requests": "input ip daddr {address} tcp flags & (syn | rst | ack) == ack drop",
    "original": "input ip daddr {address} tcp sport 20000-24999 tcp flags syn drop",
    "SYN-ACK": "output ip saddr {address} tcp dport 20000-24999 tcp flags & (syn | ack) == syn | ack drop",
    "first data": "output ip saddr {address} tcp sport {port} " + DATA + " numgen inc mod 2 0 drop",
    "data": "output ip saddr {address} " + DATA + " drop",
    "all but SYN-ACKs": "output ip saddr {address} tcp flags & syn == 0 drop",
}
"""What is lost, and the chain and rule of nf_tables that lose it, for an address or for each port of it."""
ADDRESSES = {f"10.9.0.{place}": what for place, what in enumerate(RULES, 16)}


def outcome(what: str, port: int) -> str:
    """Return what a talk with a service comes to that speaks the port's protocol."""
    if what == "data":
        return "mute" if port in SPEAKS_FIRST else "acked"
    return "mute" if what in ("requests", "all but SYN-ACKs") else "answer"


def ruleset() -> str:
    """Return the rules of the far end."""
    chains: dict[str, list[str]] = {"input": [], "output": []}
    for address, what in ADDRESSES.items():
        rules = {RULES[what].format(address=address, port=port): None for port in PORTS.values()}
        for rule in filter(None, rules):
            chain, _, text = rule.partition(" ")
            chains[chain].append(text)
    lines = ["table ip losses {"]
    for chain, texts in chains.items():
        hook = f"type filter hook {chain} priority 0;"
        lines += [f"chain {chain} {{ {hook}", *texts, "}"]
    return "\n".join([*lines, "}"])


@in_private_network
def test_every_loss_has_its_outcome() -> None:
    with tempfile.TemporaryDirectory() as folder, cable() as peer, services(peer, dict.fromkeys(ADDRESSES, "right")):
        subprocess.run([program("nft"), "-f", "-"], input=ruleset(), text=True, check=True, preexec_fn=peer.enter)
        with captured(peer) as packets:
            directory, manifest = scanned(config_of(folder, senders=3, talk={"wait": "6s"}), tuple(ADDRESSES))
        assert (manifest.status, manifest.reason) == ("complete", None)
        expected: Sets = {}
        for port in PORTS.values():
            for address, what in ADDRESSES.items():
                for kind in ("syn-ack", outcome(what, port)):
                    expected.setdefault((f"tcp/{port}", kind), set()).add(address)
        assert sets_of(directory, manifest) == expected
        requests = requests_in(packets)
        again = {address for (address, _), times in requests.items() if times == 2}
        assert again >= {address for address, what in ADDRESSES.items() if what.startswith(("request", "all but"))}
        talk = manifest.talk
        assert talk is not msgspec.UNSET
        assert talk["talks"] == len(requests) == len(ADDRESSES) * len(PORTS)
        assert talk["talks"] + talk["repeats"] == requests.total()
        assert talk["resets"] == resets_in(packets), "a reset that is not the talker's"
        assert talk["refused"] == talk["lost_events"] == talk["lost_verdicts"] == 0
