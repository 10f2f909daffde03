"""The registry: one line for each probe, with its name in configs and the file that defines it.

Nothing here imports a probe's file before it is needed: reading a config takes no compiler.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from liveness.errors import UsageError
from liveness.replies import CONTROL

if TYPE_CHECKING:
    from liveness.probes.contract import Definition
    from liveness.probes.probe import Probe

ANY_PORT: Final = "<port>"
MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the registry.

    `name` is the probe's name in configs, manifests and sets; ``<port>`` in it means any port. `module` is the
    probe's file in this folder. `words` are what people write when they mean it: errors suggest the right name.
    """

    name: str
    module: str
    words: tuple[str, ...] = ()

    @property
    def prefix(self) -> str | None:
        """The part of a name before the port, None where the name has no port to choose."""
        return self.name.removesuffix(ANY_PORT) if self.name.endswith(ANY_PORT) else None


ENTRIES: Final = (
    Entry("icmp", "icmp", words=("ping", "echo")),
    Entry("tcp/<port>", "tcp"),
    Entry("dns", "dns", words=("udp/53", "udp/domain", "udp/dns", "domain")),
    Entry("ntp", "ntp", words=("udp/123", "udp/ntp")),
    Entry("udp/1900", "ssdp", words=("ssdp", "upnp", "udp/ssdp")),
    Entry("snmp", "snmp", words=("udp/161", "udp/snmp")),
)
"""Every probe. A kernel knows a probe's file by its place here."""


def is_probe(name: str) -> bool:
    """Return whether a run may have a probe of this name, the tarpit control among them."""
    return name == CONTROL or _entry_of(name) is not None


def expected_names() -> str:
    """Return the names that a config may use, as an error lists them."""
    *names, last = (entry.name for entry in sorted(ENTRIES, key=lambda entry: entry.prefix is not None))
    return f"{', '.join(names)} or {last}"


def definition_of(entry: Entry) -> "Definition":
    """Return what a probe's file defines; ContractError where it lacks something."""
    return _definition(entry)


@cache
def _definition(entry: Entry) -> "Definition":
    from liveness.probes.contract import define  # noqa: PLC0415 - reading a config takes no compiler

    return define(entry.name, import_module(f"liveness.probes.{entry.module}"))


def probe_named(name: str) -> "Probe":
    """Return the probe of a config's name; UsageError if there is none."""
    found = _entry_of(name)
    if found is None:
        raise UsageError(f"probe {name!r}: expected one of {expected_names()}")
    entry, port = found
    return _probe(entry, name, port)


def probes_of_run(names: Sequence[str], control_port: int | None) -> "tuple[Probe, ...]":
    """Return a run's probes in the order of the config; the tarpit control, where there is one, comes last."""
    probes = [probe_named(name) for name in names]
    if control_port is not None:
        probes.append(_control(control_port))
    return tuple(probes)


def listed_probes() -> "tuple[Probe, ...]":
    """Return the probe of each line, ``<port>`` for any port, and the tarpit control at the end."""
    return (*(_probe(entry, entry.name, None) for entry in ENTRIES), _control(0))


def _control(port: int) -> "Probe":
    """Return the tarpit control: a TCP SYN to a high port that each run draws."""
    prefix, _, _ = CONTROL.partition("/")
    (entry,) = (entry for entry in ENTRIES if entry.prefix == f"{prefix}/")
    return _probe(entry, CONTROL, port)


def _entry_of(name: str) -> tuple[Entry, int | None] | None:
    """Return the line of a probe's name and the port in the name, None where no line fits."""
    for entry in ENTRIES:
        if entry.prefix is None:
            if name == entry.name:
                return entry, None
        elif name.startswith(entry.prefix):
            digits = name.removeprefix(entry.prefix)
            if re.fullmatch(r"[1-9][0-9]{0,4}", digits, re.ASCII) and int(digits) <= MAX_PORT:
                return entry, int(digits)
    return None


def _probe(entry: Entry, name: str, port: int | None) -> "Probe":
    return _definition(entry).probe(name, ENTRIES.index(entry), port)
