"""Names of probes as people write them: ``icmp``, ``tcp/443``, ``tcp/80-90``, and a hint where one is nearly right."""

import re
from typing import Final

from liveness.probes.registry import ENTRIES, MAX_PORT, is_probe
from liveness.replies import CONTROL

MAX_PROBES: Final = 15
_TCP: Final = re.compile(r"tcp/([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?", re.ASCII)
_LOOSE: Final = re.compile(r"(tcp|udp|icmp)?[/: ]?([a-z0-9-]*)", re.ASCII)
_PORTS: Final = {"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "http": 80, "https": 443, "smb": 445, "rdp": 3389}


def names_of(text: str) -> tuple[str, ...]:
    """Return the probes that a name means: itself, or one for each port of a range such as ``tcp/80-90``.

    ValueError says what was expected, and which probe was probably meant. The length of a range is judged by its ports,
    before they are written out.
    """
    if is_probe(text) and text != CONTROL:
        return (text,)
    match = _TCP.fullmatch(text)
    if match is None or max(int(port) for port in match.groups(default="1")) > MAX_PORT:
        meant = _meant(text)
        hint = f", did you mean {meant!r}?" if meant else ""
        named = ", ".join(entry.name for entry in ENTRIES if entry.prefix is None)
        expected = f"expected {named}, tcp/<port> or tcp/<port>-<port> with ports of 1-{MAX_PORT}"
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
    for entry in ENTRIES:
        written = f"{protocol}/{rest}" if protocol else rest
        if entry.prefix is None and (written in (entry.name, *entry.words) or protocol == entry.name):
            return entry.name
    if protocol == "udp":
        return None
    if rest in _PORTS:
        return f"tcp/{_PORTS[rest]}"
    ports = _TCP.fullmatch(f"tcp/{rest}")
    return f"tcp/{rest}" if ports and max(int(port) for port in ports.groups(default="1")) <= MAX_PORT else None
