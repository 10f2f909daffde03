"""A small census, and the lab in which several machines share it."""

from typing import Final

LAB: Final = """
name: small
networks:
  - {name: hosts, kind: host, prefixes: [10.1.0.0/25], listen: [22, 80], dns: answer}
  - {name: closed, kind: host, prefixes: [10.2.0.0/26]}
  - {name: dark, kind: silent, prefixes: [10.3.0.0/27]}
"""
CONFIG: Final[dict[str, object]] = {
    "name": "shared",
    "seed": 11,
    "targets": {"allow": ["10.1.0.0/25", "10.2.0.0/26", "10.3.0.0/27"]},
    "probes": ["icmp", "tcp/80", "tcp/443", "dns"],
    "rate": "200pps",
    "block_prefix": 15,
    "probe_spacing": "20ms",
    "cooldown": "300ms",
    "retransmit": {"attempts": 2, "queue": 60},
}
