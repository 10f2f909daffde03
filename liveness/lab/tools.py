"""Programs on this machine for a lab: nft, and real daemons."""

import os
import shutil
from dataclasses import dataclass, field

from liveness.lab.hosts.document import Daemon, Host, Internet

SYSTEM_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Directories of daemons, often missing in the PATH of a user who is not root."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Paths of the programs that a lab may use; programs that are not installed are missing."""

    nft: str | None = None
    daemons: dict[Daemon, str] = field(default_factory=dict)

    def fit(self, internet: Internet) -> Internet:
        """Return the part of a lab that can be built with these tools; lab and ground truth are both made from it."""
        return internet if self.nft else internet.without_nft()

    def notes(self, internet: Internet) -> list[str]:
        """Return a line for each reason why networks are left out; such networks are silent."""
        left_out = [] if self.nft else [network.name for network in internet.networks if network.needs_nft]
        return [f"nft is not in use: left out, and silent: {', '.join(left_out)}"] if left_out else []

    def choices(self, internet: Internet) -> list[str]:
        """Return a line for each network that needs a daemon, with the server that it gets."""
        return [
            f"{network.name}: {daemon}" + ("" if daemon in self.daemons else " is not in use, Python serves instead")
            for network in internet.networks
            if isinstance(network, Host)
            for daemon in network.daemons
        ]


def find_tools(*, plain: bool = False) -> Tools:
    """Find nft and the daemons; with `plain` return none, so that only Python is used."""
    if plain:
        return Tools()
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), SYSTEM_PATHS))
    found = {daemon: shutil.which(daemon, path=path) for daemon in Daemon}
    return Tools(
        nft=shutil.which("nft", path=path), daemons={daemon: where for daemon, where in found.items() if where}
    )
