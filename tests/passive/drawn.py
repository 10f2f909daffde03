"""Traffic drawn at random, dense enough that every rule, sign and conflict comes up."""

import json
import random
from pathlib import Path

from liveness.passive.ports import p2p_ports, service_ports
from liveness.space.special import registry
from tests.passive.judge import ACK, ICMP, PSH, RST, SYN, TCP, UDP, Judge, Record, Setting

EPOCH_S = 1_700_000_400  # a multiple of ten minutes
SECOND = 10**9
NOBODY = "0.0.0.0"  # noqa: S104 - an address in a record


def judge_of(records: list[Record], setting: Setting) -> Judge:
    """Return the judge with the data that the package ships: port lists and special-purpose space."""
    service, p2p = service_ports(), p2p_ports()
    registered = {TCP: set(service[0].nonzero()[0].tolist()), UDP: set(service[1].nonzero()[0].tolist())}
    special = [entry.prefix for entry in registry()]
    return Judge(records, setting, registered, set(p2p.nonzero()[0].tolist()), special)


def draw(seed: int, hours: float = 3, scale: int = 1) -> list[Record]:  # noqa: C901, PLR0912, PLR0915 - kind by kind
    """Return records of services with clients and an outage, scanners, backscatter, peers, bogons and noise."""
    rng = random.Random(seed)
    records: list[Record] = []
    span = int(hours * 3600)
    locals_ = [f"10.0.{rng.randrange(4)}.{n}" for n in rng.sample(range(1, 250), 40)]
    remotes = [f"80.{rng.randrange(3)}.{rng.randrange(3)}.{n}" for n in rng.sample(range(1, 250), 60)]
    remotes += ["192.168.7.7", "100.64.0.9", "198.18.0.1"]
    servers = [(locals_[0], TCP, 80), (locals_[1], TCP, 25), (locals_[2], UDP, 53), (locals_[3], TCP, 49151)]

    def at() -> int:
        return (EPOCH_S + rng.randrange(span)) * SECOND + rng.randrange(SECOND)

    def add(
        start: int, src: str, dst: str, sport: int, dport: int, protocol: int, flags: int = 0, packets: int = 0
    ) -> None:
        packets = packets or rng.choice([1, 1, 2, 3, 9, 10, 30])
        size = packets * rng.choice([40, 60, 1500])
        length = rng.choice([0, 0, rng.randrange(5 * SECOND), rng.randrange(1500 * SECOND)])
        exporter = rng.choice(["e1", "e1", "e2"])
        record = Record(start, start + length, src, dst, sport, dport, protocol, packets, size, flags, exporter)
        records.append(record)
        if rng.random() < 0.08:  # another router saw it too
            shift = rng.randrange(-SECOND, SECOND)
            other = "e3" if exporter == "e1" else "e1"
            records.append(
                Record(start + shift, start + length + abs(shift), src, dst, sport, dport, protocol,
                       packets + rng.randrange(3), size - 1, flags, other)
            )  # fmt: skip

    outage = (EPOCH_S + span // 2, EPOCH_S + span // 2 + 1200)
    for _ in range(700 * scale):  # clients of services
        server, protocol, port = rng.choice(servers)
        client, source, start = rng.choice(remotes[:50]), rng.randrange(1024, 65536), at()
        down = outage[0] * SECOND <= start < outage[1] * SECOND and port in (80, 25)
        flags = SYN if down else SYN | ACK | PSH | 1
        add(start, client, server, source, port, protocol, flags if protocol == TCP else 0)
        if down and rng.random() < 0.3:
            add(start + 10**6, server, client, port, source, protocol, RST | ACK)
        elif not down:
            wait = rng.choice([10**6, 10**6, 500 * SECOND])
            add(start + wait, server, client, port, source, protocol, flags if protocol == TCP else 0)
    for scanner in remotes[50:56]:  # scanners, horizontal; some find what answers
        for target in rng.sample(locals_ + [f"10.0.200.{n}" for n in range(40)], rng.randrange(3, 60)):
            port, source, start = rng.choice([22, 23, 80, 3389]), rng.randrange(1024, 65536), at()
            add(start, scanner, target, source, port, TCP, SYN, 1)
            if rng.random() < 0.25:
                add(start + 10**6, target, scanner, port, source, TCP, rng.choice([SYN | ACK, RST | ACK]), 1)
    for _ in range(120 * scale):  # backscatter of spoofed floods
        flags = rng.choice([SYN | ACK, RST, RST | ACK, SYN | ACK | RST])
        add(at(), rng.choice(remotes), rng.choice([*locals_, "10.0.201.1"]), rng.choice([80, 53, 8080, 40000]),
            rng.randrange(900, 65536), rng.choice([TCP, TCP, UDP]), flags)  # fmt: skip
    for _ in range(150 * scale):  # peers
        local, remote = rng.choice(locals_[4:8]), rng.choice(remotes)
        ports = rng.choice([(6881, 6881), (rng.randrange(1024, 65536), rng.randrange(1024, 65536)), (50000, 50001)])
        protocol, start = rng.choice([TCP, UDP]), at()
        add(start, remote, local, *ports, protocol, SYN if protocol == TCP else 0)
        if rng.random() < 0.5:
            add(start + rng.randrange(-SECOND, SECOND), local, remote, ports[1], ports[0], protocol, SYN | ACK)
    for _ in range(3):  # one endpoint, many remotes, as many ports
        start, local = at(), rng.choice(locals_)
        for remote in rng.sample(remotes, 14):
            add(start + rng.randrange(SECOND), remote, local, rng.randrange(1024, 65536), 31337, UDP)
    for _ in range(200 * scale):  # ICMP, both ways
        local, remote, kind = rng.choice(locals_), rng.choice(remotes), rng.choice([0, 8, 8, 3, 11, 13])
        ends = rng.choice([(local, remote), (remote, local)])
        start = at()
        add(start, *ends, 0, kind * 256 + (rng.randrange(4) if kind == 3 else 0), ICMP)
        if kind == 8 and rng.random() < 0.6:
            add(start + 10**6, ends[1], ends[0], 0, 0, ICMP)
    for _ in range(150 * scale):  # anything between anybody
        local, remote = rng.choice(locals_), rng.choice(remotes)
        ends = rng.choice([(local, remote), (remote, local)])
        protocol = rng.choice([TCP, UDP, 47])
        ports = (0, 0) if protocol == 47 else (rng.choice([22, 80, 5000, 55555]), rng.choice([22, 80, 5000, 55555]))
        add(at(), *ends, *ports, protocol, rng.randrange(64) if protocol == TCP else 0)
    start = at()
    records += [
        Record(start, start - 1, remotes[0], locals_[0], 1, 80, TCP, 1, 40),
        Record(5, 6, remotes[0], locals_[0], 1, 80, TCP, 1, 40),
        Record(start, start, NOBODY, NOBODY, 0, 0, TCP, 1, 40),
        Record(start, start, locals_[0], locals_[1], 1, 80, TCP, 1, 40),
        Record(start, start, remotes[0], remotes[1], 1, 80, TCP, 1, 40),
        Record(start, start, "203.0.113.9", locals_[1], 1, 80, TCP, 1, 40),
        Record(start, start, locals_[0], "224.0.0.5", 0, 0, 89, 1, 40),
        Record(start, start, locals_[0], "255.255.255.255", 68, 67, UDP, 1, 300),
        Record(start, start, remotes[2], locals_[1], 68, 67, UDP, 1, 300),
        Record(start, start, locals_[1], remotes[2], 5000, 2055, UDP, 1, 300),
        Record(start, start, locals_[1], remotes[2], 5000, 514, UDP, 1, 300),
    ]
    return records


LOCAL = "10.0.0.0/16"


def write_config(path: Path, output: Path, **more: object) -> Path:
    """Write a config of the drawn traffic."""
    config = {
        "name": "campus", "local": [LOCAL], "own_probes": ["203.0.113.9"], "output": str(output), **more,
    }  # fmt: skip
    path.write_text(json.dumps(config))
    return path
