"""Which programs this machine has for a lab: nft, and real daemons."""

import os
import shutil
from dataclasses import dataclass, field

from liveness.lab.hosts.document import Daemon, Host, Internet

SYSTEM_PATHS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where daemons live; the PATH of a user who is not root often lacks it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Paths of the programs a lab may use; those that are not installed are missing."""

    nft: str | None = None
    daemons: dict[Daemon, str] = field(default_factory=dict)

    def fit(self, internet: Internet) -> Internet:
        """Return the part of a lab that can be built with these tools: lab and ground truth both begin here."""
        return internet if self.nft else internet.without_nft()

    def notes(self, internet: Internet) -> list[str]:
        """Say which networks are left out, one line each reason; they are silent then."""
        left_out = [] if self.nft else [network.name for network in internet.networks if network.needs_nft]
        return [f"nft is not in use: left out, and silent: {', '.join(left_out)}"] if left_out else []

    def choices(self, internet: Internet) -> list[str]:
        """Say who serves each network that asks for daemons, one line each."""
        return [
            f"{network.name}: {daemon}" + ("" if daemon in self.daemons else " is not in use, Python serves instead")
            for network in internet.networks
            if isinstance(network, Host)
            for daemon in network.daemons
        ]


def find_tools(*, plain: bool = False) -> Tools:
    """Look for nft and the daemons; with `plain` pretend that nothing but Python is there."""
    if plain:
        return Tools()
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), SYSTEM_PATHS))
    found = {daemon: shutil.which(daemon, path=path) for daemon in Daemon}
    return Tools(
        nft=shutil.which("nft", path=path), daemons={daemon: where for daemon, where in found.items() if where}
    )
