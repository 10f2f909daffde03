"""Accepted replies for tests of the log, and what a row of it must say of each."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.replies import ERROR_TYPES, REPLY_DTYPE, UNKNOWN_ATTEMPT, Kind, Tier
from tests.frames import dotted

PROBES: Final = ("icmp", "tcp/443", "dns", "tcp/control")
HOUR_NS: Final = 3_600 * 10**9
START_NS: Final = 495_000 * HOUR_NS + 123_456_789


def replies(count: int, seed: int = 1, start_ns: int = START_NS, step_ns: int = 1_000_003) -> NDArray[np.void]:
    """Return random replies of every kind, one every `step_ns`."""
    random = np.random.default_rng(seed)
    batch = np.zeros(count, REPLY_DTYPE)
    for name in REPLY_DTYPE.names or ():
        kind = np.iinfo(REPLY_DTYPE[name])
        batch[name] = random.integers(0, kind.max, count, kind.dtype, endpoint=True)
    batch["time_ns"] = start_ns + np.arange(count) * step_ns
    batch["rtt_ns"] = np.where(random.random(count) < 0.5, -1, random.integers(0, 10**9, count))
    batch["probe"] = random.integers(0, len(PROBES), count)
    batch["kind"] = random.integers(0, len(Kind), count)
    batch["tier"] = random.integers(0, len(Tier), count)
    batch["icmp_type"] = random.choice(ERROR_TYPES, count)
    batch["attempt"] = random.choice([0, 1, UNKNOWN_ATTEMPT], count)
    batch["source"] = np.where(random.random(count) < 0.5, batch["target"], batch["source"])
    return batch


def rows(batch: NDArray[np.void]) -> list[dict[str, Any]]:
    """Return what a Parquet file says of replies, in words of plain Python."""
    return [_row({name: int(record[name]) for name in REPLY_DTYPE.names or ()}) for record in batch]


def _row(number: dict[str, int]) -> dict[str, Any]:
    is_error = number["kind"] == Kind.ERROR
    is_tcp = PROBES[number["probe"]].startswith("tcp/") and not is_error
    return {
        "time_ns": number["time_ns"],
        "probe": PROBES[number["probe"]],
        "attempt": None if number["attempt"] == UNKNOWN_ATTEMPT else number["attempt"],
        "kind": Kind(number["kind"]).label,
        "icmp_type": number["icmp_type"] if is_error else None,
        "icmp_code": number["icmp_code"] if is_error else None,
        "target": number["target"],
        "source": number["source"],
        "reply_ttl": number["reply_ttl"],
        "quoted_ttl": number["quoted_ttl"] if is_error else None,
        "rtt_ns": None if number["rtt_ns"] == -1 else number["rtt_ns"],
        "tcp_window": number["tcp_window"] if is_tcp else None,
        "tcp_flags": number["tcp_flags"] if is_tcp else None,
        "ip_id": number["ip_id"],
        "length": number["length"],
        "tier": Tier(number["tier"]).name.lower(),
        "protocol": None,
        "data": None,
    }


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the view `replies` says of the same reply, less its time in words."""
    kept = {name: value for name, value in row.items() if name not in ("target", "source")}
    return kept | {
        "target": dotted(row["target"]),
        "source": dotted(row["source"]),
        "target_number": row["target"],
        "source_number": row["source"],
        "direct": row["target"] == row["source"],
        "rtt_ms": None if row["rtt_ns"] is None else row["rtt_ns"] / 1e6,
    }
