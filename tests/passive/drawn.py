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


class _Drawing:
    """Traffic while it is drawn: the order of the methods that `draw` calls is part of what a seed means."""

    def __init__(self, seed: int, hours: float, scale: int) -> None:
        rng = random.Random(seed)
        self.rng, self.scale, self.span = rng, scale, int(hours * 3600)
        self.records: list[Record] = []
        self.locals = [f"10.0.{rng.randrange(4)}.{n}" for n in rng.sample(range(1, 250), 40)]
        self.remotes = [f"80.{rng.randrange(3)}.{rng.randrange(3)}.{n}" for n in rng.sample(range(1, 250), 60)]
        self.remotes += ["192.168.7.7", "100.64.0.9", "198.18.0.1"]
        ends = [(TCP, 80), (TCP, 25), (UDP, 53), (TCP, 49151)]
        self.servers = [(self.locals[place], *end) for place, end in enumerate(ends)]

    def at(self) -> int:
        """Return a time in ns."""
        return (EPOCH_S + self.rng.randrange(self.span)) * SECOND + self.rng.randrange(SECOND)

    def add(
        self, start: int, src: str, dst: str, sport: int, dport: int, protocol: int, flags: int = 0, packets: int = 0
    ) -> None:
        """Add a record, sometimes with a copy of another router."""
        packets = packets or self.rng.choice([1, 1, 2, 3, 9, 10, 30])
        size = packets * self.rng.choice([40, 60, 1500])
        length = self.rng.choice([0, 0, self.rng.randrange(5 * SECOND), self.rng.randrange(1500 * SECOND)])
        exporter = self.rng.choice(["e1", "e1", "e2"])
        record = Record(start, start + length, src, dst, sport, dport, protocol, packets, size, flags, exporter)
        self.records.append(record)
        if self.rng.random() < 0.08:  # another router saw it too
            shift = self.rng.randrange(-SECOND, SECOND)
            other = "e3" if exporter == "e1" else "e1"
            self.records.append(
                Record(start + shift, start + length + abs(shift), src, dst, sport, dport, protocol,
                       packets + self.rng.randrange(3), size - 1, flags, other)
            )  # fmt: skip

    def services(self) -> None:
        """Draw clients of services, some of them in an outage."""
        outage = (EPOCH_S + self.span // 2, EPOCH_S + self.span // 2 + 1200)
        for _ in range(700 * self.scale):
            server, protocol, port = self.rng.choice(self.servers)
            client, source, start = self.rng.choice(self.remotes[:50]), self.rng.randrange(1024, 65536), self.at()
            down = outage[0] * SECOND <= start < outage[1] * SECOND and port in (80, 25)
            flags = SYN if down else SYN | ACK | PSH | 1
            self.add(start, client, server, source, port, protocol, flags if protocol == TCP else 0)
            if down and self.rng.random() < 0.3:
                self.add(start + 10**6, server, client, port, source, protocol, RST | ACK)
            elif not down:
                wait = self.rng.choice([10**6, 10**6, 500 * SECOND])
                self.add(start + wait, server, client, port, source, protocol, flags if protocol == TCP else 0)

    def scanners(self) -> None:
        """Draw horizontal scanners; some find what answers."""
        for scanner in self.remotes[50:56]:
            for target in self.rng.sample(
                self.locals + [f"10.0.200.{n}" for n in range(40)], self.rng.randrange(3, 60)
            ):
                port, source, start = self.rng.choice([22, 23, 80, 3389]), self.rng.randrange(1024, 65536), self.at()
                self.add(start, scanner, target, source, port, TCP, SYN, 1)
                if self.rng.random() < 0.25:
                    self.add(
                        start + 10**6, target, scanner, port, source, TCP, self.rng.choice([SYN | ACK, RST | ACK]), 1
                    )

    def backscatter(self) -> None:
        """Draw backscatter of spoofed floods."""
        rng = self.rng
        for _ in range(120 * self.scale):
            flags = rng.choice([SYN | ACK, RST, RST | ACK, SYN | ACK | RST])
            start, remote, local = self.at(), rng.choice(self.remotes), rng.choice([*self.locals, "10.0.201.1"])
            ports = rng.choice([80, 53, 8080, 40000]), rng.randrange(900, 65536)
            self.add(start, remote, local, *ports, rng.choice([TCP, TCP, UDP]), flags)

    def peers(self) -> None:
        """Draw peers, and endpoints with many remotes and as many ports."""
        for _ in range(150 * self.scale):
            local, remote = self.rng.choice(self.locals[4:8]), self.rng.choice(self.remotes)
            ports = self.rng.choice(
                [(6881, 6881), (self.rng.randrange(1024, 65536), self.rng.randrange(1024, 65536)), (50000, 50001)]
            )
            protocol, start = self.rng.choice([TCP, UDP]), self.at()
            self.add(start, remote, local, *ports, protocol, SYN if protocol == TCP else 0)
            if self.rng.random() < 0.5:
                self.add(
                    start + self.rng.randrange(-SECOND, SECOND), local, remote, ports[1], ports[0], protocol, SYN | ACK
                )
        for _ in range(3):  # one endpoint, many self.remotes, as many ports
            start, local = self.at(), self.rng.choice(self.locals)
            for remote in self.rng.sample(self.remotes, 14):
                self.add(start + self.rng.randrange(SECOND), remote, local, self.rng.randrange(1024, 65536), 31337, UDP)

    def icmp(self) -> None:
        """Draw ICMP, both ways."""
        for _ in range(200 * self.scale):
            local, remote, kind = (
                self.rng.choice(self.locals),
                self.rng.choice(self.remotes),
                self.rng.choice([0, 8, 8, 3, 11, 13]),
            )
            ends = self.rng.choice([(local, remote), (remote, local)])
            start = self.at()
            self.add(start, *ends, 0, kind * 256 + (self.rng.randrange(4) if kind == 3 else 0), ICMP)
            if kind == 8 and self.rng.random() < 0.6:
                self.add(start + 10**6, ends[1], ends[0], 0, 0, ICMP)

    def noise(self) -> None:
        """Draw anything between anybody."""
        for _ in range(150 * self.scale):
            local, remote = self.rng.choice(self.locals), self.rng.choice(self.remotes)
            ends = self.rng.choice([(local, remote), (remote, local)])
            protocol = self.rng.choice([TCP, UDP, 47])
            ports = (
                (0, 0)
                if protocol == 47
                else (self.rng.choice([22, 80, 5000, 55555]), self.rng.choice([22, 80, 5000, 55555]))
            )
            self.add(self.at(), *ends, *ports, protocol, self.rng.randrange(64) if protocol == TCP else 0)

    def odd(self) -> None:
        """Add records that are invalid, outside, excluded or our own probes."""
        start = self.at()
        self.records += [
            Record(start, start - 1, self.remotes[0], self.locals[0], 1, 80, TCP, 1, 40),
            Record(5, 6, self.remotes[0], self.locals[0], 1, 80, TCP, 1, 40),
            Record(start, start, NOBODY, NOBODY, 0, 0, TCP, 1, 40),
            Record(start, start, self.locals[0], self.locals[1], 1, 80, TCP, 1, 40),
            Record(start, start, self.remotes[0], self.remotes[1], 1, 80, TCP, 1, 40),
            Record(start, start, "203.0.113.9", self.locals[1], 1, 80, TCP, 1, 40),
            Record(start, start, self.locals[0], "224.0.0.5", 0, 0, 89, 1, 40),
            Record(start, start, self.locals[0], "255.255.255.255", 68, 67, UDP, 1, 300),
            Record(start, start, self.remotes[2], self.locals[1], 68, 67, UDP, 1, 300),
            Record(start, start, self.locals[1], self.remotes[2], 5000, 2055, UDP, 1, 300),
            Record(start, start, self.locals[1], self.remotes[2], 5000, 514, UDP, 1, 300),
        ]


def draw(seed: int, hours: float = 3, scale: int = 1) -> list[Record]:
    """Return records of services with clients and an outage, scanners, backscatter, peers, bogons and noise."""
    drawing = _Drawing(seed, hours, scale)
    drawing.services()
    drawing.scanners()
    drawing.backscatter()
    drawing.peers()
    drawing.icmp()
    drawing.noise()
    drawing.odd()
    return drawing.records


LOCAL = "10.0.0.0/16"


def write_config(path: Path, output: Path, **more: object) -> Path:
    """Write a config of the drawn traffic."""
    config = {
        "name": "campus", "local": [LOCAL], "own_probes": ["203.0.113.9"], "output": str(output), **more,
    }  # fmt: skip
    path.write_text(json.dumps(config))
    return path
