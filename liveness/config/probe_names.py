"""Names of probes as people write them: ``icmp``, ``tcp/443``, ``tcp/80-90``, and a hint where one is nearly right."""

import re
from typing import Final

MAX_PROBES: Final = 15
MAX_PORT: Final = 65_535
NAMED: Final = ("icmp", "dns", "ntp")
"""Probes without a port."""

_TCP: Final = re.compile(r"tcp/([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?", re.ASCII)
_LOOSE: Final = re.compile(r"(tcp|udp|icmp)?[/: ]?([a-z0-9-]*)", re.ASCII)
_PORTS: Final = {"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "http": 80, "https": 443, "smb": 445, "rdp": 3389}
_UDP: Final = {"53": "dns", "domain": "dns", "dns": "dns", "123": "ntp", "ntp": "ntp"}


def names_of(text: str) -> tuple[str, ...]:
    """Return the probes that a name stands for: itself, or one for each port of a range such as ``tcp/80-90``.

    ValueError says what was expected, and which probe was probably meant. The length of a range is judged by its ports,
    before they are written out.
    """
    if text in NAMED:
        return (text,)
    match = _TCP.fullmatch(text)
    if match is None or max(int(port) for port in match.groups(default="1")) > MAX_PORT:
        meant = _meant(text)
        hint = f", did you mean {meant!r}?" if meant else ""
        expected = f"expected icmp, dns, ntp, tcp/<port> or tcp/<port>-<port> with ports of 1-{MAX_PORT}"
        raise ValueError(f"no such probe: {expected}{hint}")
    first = int(match[1])
    last = int(match[2] or first)
    if last < first:
        raise ValueError(f"the range ends before it begins: write tcp/{last}-{first}")
    if last - first >= MAX_PROBES:
        raise ValueError(f"makes {last - first + 1:,} probes, a census has at most {MAX_PROBES}: take fewer ports")
    return tuple(f"tcp/{port}" for port in range(first, last + 1))


def _meant(text: str) -> str | None:
    """Return the name that was probably meant, None where nothing is near."""
    match = _LOOSE.fullmatch(text.strip().lower())
    if match is None:
        return None
    protocol, rest = match.groups()
    if protocol == "udp":
        return _UDP.get(rest)
    if protocol == "icmp" or rest in ("ping", "echo"):
        return "icmp"
    if protocol is None and rest in _UDP and not rest.isdecimal():
        return _UDP[rest]
    if rest in _PORTS:
        return f"tcp/{_PORTS[rest]}"
    ports = _TCP.fullmatch(f"tcp/{rest}")
    return f"tcp/{rest}" if ports and max(int(port) for port in ports.groups(default="1")) <= MAX_PORT else None
