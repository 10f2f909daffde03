"""Censuses of real hosts that talk: every kind is what the lab file says, with real daemons and without."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from liveness.errors import UsageError
from liveness.lab.hosts.document import Host
from liveness.lab.hosts.truth import expected_sets
from liveness.lab.load import load_internet, parse_internet
from liveness.lab.services.behaviours import PORTS
from liveness.replies import Role
from liveness.space.intervals import Intervals
from tests.census.support import EXEC, LIVENESS, Census, run, write_yaml

ALLOW = "10.50.0.0/23"
FIRST = 0x0A320000


def outcomes(port: int) -> dict[str, str]:
    """Return the kinds of each network's open ports, written by hand from docs/applications.md."""
    first = port in (22, 23)
    silent = "mute" if first else "acked"
    kinds = {
        "speaking": "answer", "foreign": "payload", "in-pieces": "answer" if port == 23 else "payload",
        "endless": "answer", "listening": silent, "closing": "closed", "resetting": "closed", "unsaid": "closed",
        "swallowing": "mute", "ignoring": "mute", "shut": "zero-window", "tarpit": "closed",
    }  # fmt: skip
    if first:
        kinds["shells"] = "answer" if port == 22 else "mute"
    if port != 22:
        kinds["web"] = {23: "mute", 443: "payload"}.get(port, "answer")
    return kinds


def test_the_truth_is_what_was_written_by_hand() -> None:
    internet = load_internet("services")
    probes = [f"tcp/{port}" for port in PORTS.values()]
    targets = Intervals.from_bounds([FIRST], [FIRST + 511])
    sets = expected_sets(internet, targets, probes, None, 64, list(PORTS))
    for port in PORTS.values():
        expected: defaultdict[str, set[int]] = defaultdict(set)
        for network, kind in outcomes(port).items():
            (host,) = [one for one in internet.networks if one.name == network]
            expected[kind] |= {int(address) for block in host.blocks for address in block}
        found = {
            key.reply.label: set(members)
            for key, members in sets.items()
            if key.reply.probe == f"tcp/{port}" and key.reply.of_talk and key.role is Role.TARGET
        }
        assert found == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("talks: {tcp/80: acks}", r"talks: 'tcp/80': the port is not open: this network needs 80 in listen"),
        ("listen: [81], talks: {tcp/81: acks}", r"talks: 'tcp/81': expected one of tcp/22, tcp/23"),
        ("listen: [80], talks: {tcp/80: tarpit}", r"talks\.tcp/80: 'tarpit': expected one of speaks, other"),
        ("listen: [80], talks: {tcp/80: hums}", r"talks\.tcp/80: 'hums'"),
        ("listen: [22], daemons: [sshd], talks: {tcp/22: acks}", r"talks: 'tcp/22': a daemon serves this port"),
    ],
)
def test_what_no_host_can_do_is_refused(line: str, message: str) -> None:
    text = f"name: t\nnetworks: [{{name: a, kind: host, prefixes: [10.1.0.0/30], {line}}}]\n"
    with pytest.raises(UsageError, match=message):
        parse_internet(text, "t.yaml")


def test_filters_need_nft() -> None:
    needy = {one.name for one in load_internet("services").networks if isinstance(one, Host) and one.needs_nft}
    assert needy == {"swallowing", "ignoring", "shut", "tarpit"}


@pytest.mark.lab
@pytest.mark.parametrize(("plain", "senders"), [(True, 1), (False, 2)])
def test_a_census_of_real_hosts_equals_the_truth(tmp_path: Path, *, plain: bool, senders: int) -> None:
    config = {
        "name": "talks",
        "targets": {"allow": [ALLOW]},
        "probes": ["icmp", *(f"tcp/{port}" for port in PORTS.values())],
        "applications": list(PORTS),
        "talk": {"wait": "3s"},
        "senders": senders,
        "rate": "400pps",
        "block_prefix": 8,
        "retransmit": {"attempts": 2, "queue": 100},
        "probe_spacing": "10ms",
        "cooldown": "2s",
        "network": {"source_ports": "61000-65000"},
        "output": str(tmp_path),
    }
    scan = [*LIVENESS, "scan", "-q", "-C", str(write_yaml(tmp_path / "talks.yaml", config))]
    options = ["--plain"] if plain else []
    done = run(*EXEC, *options, "--internet", "services", "--", *scan, timeout=200)
    assert done.returncode == 0, done.stderr
    census = Census(Path(done.stdout.splitlines()[-1]))
    checked = run(*LIVENESS, "lab", "check", *options, "--internet", "services", "--json", census.path)
    document = json.loads(checked.stdout)
    assert (checked.returncode, document["equal"]) == (0, True), document["differences"]
    kinds = {entry.kind for entry in census.manifest.sets if entry.probe == "tcp/80"}
    assert kinds >= {"answer", "payload", "closed", "acked", *(() if plain else ("mute", "zero-window"))}
