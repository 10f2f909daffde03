"""Ephemeral ports of this host, and how to keep them separate from the source ports of a scan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOCAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
RESERVED: Final = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
"""Both files describe the network namespace of the process that reads them, wherever /proc was mounted."""

DEFAULT_PORTS: Final = (32_768, 61_000)
"""Source ports of a scan whose config does not set any."""
LEFT_TO_THE_HOST: Final = 4_096
"""With fewer ephemeral ports than this, a busy host cannot open connections."""

Ranges = list[tuple[int, int]]
"""Inclusive ranges of ports: sorted, disjoint and not adjacent."""


@dataclass(frozen=True, slots=True)
class HostPorts:
    """Ports that the kernel chooses from for connections of this host, and reserved ports that it does not choose."""

    first: int
    last: int
    reserved: Ranges

    def advice(self, first: int, last: int) -> str | None:
        """Return a command that keeps this host's connections off the ports `first` to `last`; None if none uses them.

        If that would leave the host too few ports, the advice is to use half of the range for the scan.
        """
        low, high = max(first, self.first), min(last, self.last)
        if low > high or _within(self.reserved, low, high):
            return None
        wanted = merged([*self.reserved, (first, last)])
        if self.last - self.first + 1 - _overlap(wanted, self.first, self.last) >= LEFT_TO_THE_HOST:
            return f"run: {_command(wanted)}"
        middle = (low + high) // 2
        wanted = merged([*self.reserved, (first, middle)])
        return f"set network.source_ports (-s) to {first}-{middle} and run: {_command(wanted)}"


def host_ports() -> HostPorts | None:
    """Return the ephemeral ports of this network namespace, or None if the kernel does not show them."""
    try:
        first, last = (int(word) for word in LOCAL_RANGE.read_text().split())
        return HostPorts(first, last, parsed(RESERVED.read_text()))
    except (OSError, ValueError):
        return None


def warning(first: int, last: int) -> str | None:
    """Return the warning about source ports that are also ephemeral ports of this host, or None if there are none."""
    host = host_ports()
    advice = host.advice(first, last) if host else None
    if host is None or advice is None:
        return None
    return (
        f"source ports {first}-{last} are also those of this host's own connections ({host.first}-{host.last}), whose"
        f" packets come to the scan and whose ports it may hit: {advice}"
    )


def parsed(text: str) -> Ranges:
    """Return the ranges in a text such as ``8080,9148-9150``. Raises ValueError for any other text."""
    ranges = []
    for entry in text.strip().split(","):
        if entry:
            low, _, high = entry.partition("-")
            ranges.append((int(low), int(high or low)))
    return merged(ranges)


def merged(ranges: Ranges) -> Ranges:
    """Return ranges, which may overlap, as sorted and disjoint ranges."""
    result: Ranges = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def _within(ranges: Ranges, low: int, high: int) -> bool:
    return any(first <= low and high <= last for first, last in ranges)


def _overlap(ranges: Ranges, low: int, high: int) -> int:
    return sum(max(0, min(last, high) - max(first, low) + 1) for first, last in ranges)


def _command(ranges: Ranges) -> str:
    texts = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
    return f"sudo sysctl -w net.ipv4.ip_local_reserved_ports={texts}"
