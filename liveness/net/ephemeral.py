"""The ephemeral ports of this host, and how to keep them apart from a scan's source ports."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOCAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
RESERVED: Final = Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
"""Both show the network namespace of the process that reads them, wherever /proc was mounted."""

DEFAULT_PORTS: Final = (32_768, 61_000)
"""The source ports of a scan whose config gives none."""
LEFT_TO_THE_HOST: Final = 4_096
"""With fewer ephemeral ports than this a busy host fails to open connections."""

Ranges = list[tuple[int, int]]
"""Inclusive ranges of ports: sorted, disjoint, not adjacent."""


@dataclass(frozen=True, slots=True)
class HostPorts:
    """Which source ports the kernel chooses from for connections of this host, and which of them it leaves out."""

    first: int
    last: int
    reserved: Ranges

    def advice(self, first: int, last: int) -> str | None:
        """Return what to do so that no connection of this host uses the ports `first` to `last`, None if none does.

        Where that would leave the host without ports of its own, half of the range is proposed for the scan.
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
    """Return the ephemeral ports of this network namespace, None if the kernel does not show them."""
    try:
        first, last = (int(word) for word in LOCAL_RANGE.read_text().split())
        return HostPorts(first, last, parsed(RESERVED.read_text()))
    except (OSError, ValueError):
        return None


def warning(first: int, last: int) -> str | None:
    """Return the warning about source ports that are also ephemeral ports of this host, None if none is."""
    host = host_ports()
    advice = host.advice(first, last) if host else None
    if host is None or advice is None:
        return None
    return (
        f"source ports {first}-{last} are also those of this host's own connections ({host.first}-{host.last}), whose"
        f" packets come to the scan and whose ports it may hit: {advice}"
    )


def parsed(text: str) -> Ranges:
    """Return the ranges of a text such as ``8080,9148-9150``; ValueError for any other text."""
    ranges = []
    for entry in text.strip().split(","):
        if entry:
            low, _, high = entry.partition("-")
            ranges.append((int(low), int(high or low)))
    return merged(ranges)


def merged(ranges: Ranges) -> Ranges:
    """Return ranges that may overlap as sorted and disjoint ones."""
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
