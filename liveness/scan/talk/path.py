"""The kernel's part in talks: a ring to send them, and no resets of its own in between."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from liveness.applications.registry import ENTRIES
from liveness.errors import UnsupportedError
from liveness.net.ephemeral import warning
from liveness.net.links import in_lab
from liveness.net.path.path import Path
from liveness.net.resets import ResetsHeld
from liveness.net.ring import TxRing
from liveness.net.transport import AF_PACKET, open_transport
from liveness.probes.run_constants import RunConstants
from liveness.scan.plan import Plan
from liveness.scan.talk.segments import longest_frame, requests_of

ZERO_COPY: Final = "auto"


@dataclass(frozen=True, slots=True)
class TalkPath:
    """The ring of the talker, and the hold on the kernel's resets, which must stay open while anybody is talked to."""

    ring: TxRing
    resets: ResetsHeld

    def close(self) -> None:
        """Close both. It may be called twice."""
        self.ring.close()
        self.resets.close()


def open_talk_path(plan: Plan, constants: RunConstants, path: Path, cleanup: ExitStack) -> TalkPath:
    """Hold back the resets of the kernel, prove that none leaves, and open the ring of the talker.

    `cleanup` closes them if a later step fails. Raises UnsupportedError if the source ports may be those of connections
    of this host, or if there is no proof.
    """
    ports = plan.config.network.source_ports
    shared_ports = None if in_lab() else warning(ports.first, ports.last)
    if shared_ports is not None:
        raise UnsupportedError(f"applications: resets of this host would be held back as well: {shared_ports}")
    services = [entry.port for entry in ENTRIES if entry.name in plan.config.applications]
    try:
        resets = ResetsHeld(ports.first, ports.last, services)
        cleanup.callback(resets.close)
        resets.prove()
    except UnsupportedError as error:
        raise UnsupportedError(f"applications: {error}") from error
    longest = longest_frame(requests_of(plan.probes, constants, plan.config.contact))
    ring = open_transport(path.interface, 1, longest, 1, AF_PACKET, ZERO_COPY, ethernet=path.ethernet).rings[0]
    cleanup.callback(ring.close)
    return TalkPath(ring, resets)
