"""The registry: one line for each application, with its port and the file that defines it.

Nothing here imports an application's file before it is needed: reading a config takes no compiler.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from liveness.applications.contract import Application


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the registry: the name in configs, which is that of its file in this folder, port and protocol."""

    name: str
    port: int
    protocol: str
    """The name of its protocol in the table of fingerprints."""

    @property
    def probe(self) -> str:
        """The probe whose SYN-ACKs are talked to."""
        return f"tcp/{self.port}"


ENTRIES: Final = (
    Entry("ssh", 22, "ssh"),
    Entry("telnet", 23, "telnet"),
    Entry("http", 80, "http"),
    Entry("tls", 443, "tls"),
    Entry("cwmp", 7547, "http"),
)
"""Every application. A kernel knows it by its place here."""

NAMES: Final = tuple(entry.name for entry in ENTRIES)


def number_of(probe: str, chosen: Sequence[str]) -> int | None:
    """Return the number of the chosen application that talks to the services that answer a probe, or None."""
    numbers = (number for number, entry in enumerate(ENTRIES) if entry.probe == probe and entry.name in chosen)
    return next(numbers, None)


def protocol_at(probe: str) -> str | None:
    """Return the protocol of the application that talks to the services that answer a probe, or None."""
    return next((entry.protocol for entry in ENTRIES if entry.probe == probe), None)


@cache
def definition_of(entry: Entry) -> "Application":
    """Return what an application's file defines; ContractError if it lacks something."""
    from liveness.applications.contract import define  # noqa: PLC0415 - reading a config takes no compiler

    return define(entry.name, import_module(f"liveness.applications.{entry.name}"))
