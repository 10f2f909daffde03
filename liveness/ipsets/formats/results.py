"""Results of masscan (-oL, -oJ, -oD, -oG, -oX, standard output) and nmap (-oX, -oG): hosts with a port in a state."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.source import Source
from liveness.space.addresses import is_ipv6, parse_address

UP: Final = "up"
"""The state of a host whose ports were not scanned, as nmap -sn prints it."""
_LIST: Final = re.compile(r"(\w+) (\w+) (\d+) (\S+) \d+")
_GREPPABLE: Final = re.compile(r"(?:Timestamp: \S+\s+)?Host: (\S+) \([^)]*\)\s+(Ports|Status): (.*)")
_DISCOVERED: Final = re.compile(r"Discovered (\w+) port (\d+)/(\w+) on (\S+)")
_PROSE: Final = ("Starting Nmap", "Nmap scan report for")
_TAG: Final = re.compile(r"<(/?)(host|address|status|port|state)\b([^>]*)>")
_ATTRIBUTE: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement about a host: the state of one of its ports (``tcp/80``), or of the host (no port)."""

    host: str
    state: str
    port: str | None = None


def read_from(source: Source, choice: Choice) -> BitMap:
    """Return the hosts that have a port in a wanted state, or that are up where the tool looked for no ports.

    UsageError names the line that is none of such a file.
    """
    wanted, up, with_ports = Builder(), Builder(), Builder()
    xml = _Xml()
    for content, first in source.lines():
        for number, raw in enumerate(content.split(b"\n"), first):
            line = raw.decode("utf-8", "replace").strip()
            try:
                findings = [(finding, _address(finding.host, choice)) for finding in _findings(line, xml)]
            except ValueError as problem:
                raise UsageError(f"{source.name}:{number}: not a line of masscan or nmap: {problem}") from None
            for finding, address in findings:
                if address < 0:
                    continue
                (up if finding.port is None and finding.state == UP else with_ports).add_range(address, address)
                if finding.port is not None and _wanted(finding, choice):
                    wanted.add_range(address, address)
    alone = up.finish() - with_ports.finish()  # nmap prints the state of hosts besides that of their ports
    return wanted.finish() | alone if choice.ports is None else wanted.finish()


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Refuse: a set has no ports and no states."""
    raise UsageError(f"{style}: is read only: write text, which both tools read as targets (-iL)")


def _wanted(finding: Finding, choice: Choice) -> bool:
    return finding.state in choice.states and (choice.ports is None or finding.port in choice.ports)


def _address(host: str, choice: Choice) -> int:
    """Return a host's address, -1 for one of IPv6, which is counted where that is asked for."""
    if is_ipv6(host):
        if choice.skipped is None:
            raise ValueError(f"{host!r} is IPv6: --skip-ipv6 leaves such hosts out")
        choice.skipped.lines += 1
        return -1
    return parse_address(host)


def _findings(line: str, xml: "_Xml") -> Iterator[Finding]:
    """Yield the statements of a line; comments and the frame of a document have none."""
    if not line or line.startswith("#") or line in ("[", "]", ",") or "finished" in line[:12]:
        return
    if line.startswith("<") or xml.open:
        yield from xml.take(line)
    elif line.startswith(("{", "[{")):
        yield from _json(line.strip("[],"))
    elif match := _GREPPABLE.match(line):
        yield from _greppable(*match.groups())
    elif match := _LIST.fullmatch(" ".join(line.split(" ")[:5])):
        state, protocol, port, host = match.groups()
        if state != "banner":
            yield Finding(host, state, f"{protocol}/{port}")
    elif match := _DISCOVERED.fullmatch(line):
        state, port, protocol, host = match.groups()
        yield Finding(host, state, f"{protocol}/{port}")
    elif line.startswith(_PROSE):
        raise ValueError(f"{line[:60]!r} is nmap's output for people: have it write -oX FILE or -oG FILE")
    else:
        raise ValueError(repr(line[:60]))


def _greppable(host: str, what: str, rest: str) -> Iterator[Finding]:
    """Yield the statements of a line of -oG, after ``Host:``."""
    if what == "Status":
        yield Finding(host, rest.split("\t", maxsplit=1)[0].strip().lower())
        return
    for entry in rest.split("\t", maxsplit=1)[0].split(","):
        port, state, protocol = (*entry.strip().split("/"), "", "", "")[:3]
        yield Finding(host, state, f"{protocol}/{port}")


def _json(line: str) -> Iterator[Finding]:
    try:
        host = json.loads(line)
        if "rec_type" in host:  # -oD: an object for each port
            if host["rec_type"] == "status":
                yield Finding(str(host["ip"]), str(host["data"]["status"]), f"{host['proto']}/{host['port']}")
            return
        for port in host["ports"]:
            if "status" in port:  # else a banner
                yield Finding(str(host["ip"]), str(port["status"]), f"{port['proto']}/{port['port']}")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError(repr(line[:60])) from None


class _Xml:
    """The state of reading XML of nmap or masscan: the host and the port that the current tag is about."""

    def __init__(self) -> None:
        self.open = False
        self._host: str | None = None
        self._up: str | None = None
        self._port = ""
        self._ports = 0

    def take(self, line: str) -> Iterator[Finding]:
        """Yield the statements of the tags of a line."""
        self.open = True
        for end, name, rest in _TAG.findall(line):
            given = dict(_ATTRIBUTE.findall(rest))
            if name == "host":
                if end and self._host is not None and self._up is not None and not self._ports:
                    yield Finding(self._host, self._up)
                self._host, self._up, self._ports = None, None, 0
            elif name == "address" and given.get("addrtype", "ipv4") in ("ipv4", "ipv6"):
                self._host = given.get("addr", "")
            elif name == "status":
                self._up = given.get("state")
            elif name == "port" and not end:
                self._port = f"{given.get('protocol')}/{given.get('portid')}"
            elif name == "state" and self._host is not None:
                self._ports += 1
                yield Finding(self._host, given.get("state", ""), self._port)
