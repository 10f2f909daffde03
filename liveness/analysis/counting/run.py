"""What a run's probes and replies mean to the analysis: families, kinds of liveness, and whether the run is whole."""

from typing import Final

from liveness.replies import CONTROL, POSITIVE, Kind
from liveness.runs.manifest import Manifest

FAMILIES: Final = ("icmp", "tcp", "udp")

REPLIES: Final = (*POSITIVE, Kind.RST)
"""What makes an address network alive, errors apart (Bano et al. 2018, figure 2); of UDP, valid answers only."""

ACTIVITY: Final = (*REPLIES, Kind.PAYLOAD)
"""What makes an address active, errors apart (figure 5); of UDP, invalid payloads too."""


def family_of(probe: str) -> str | None:
    """Return the family of a probe by its name: icmp, tcp, udp, or None for the control."""
    if probe == CONTROL:
        return None
    if probe == "icmp":
        return "icmp"
    return "tcp" if probe.startswith("tcp/") else "udp"


def port_of(probe: str) -> int:
    """Return the port of a TCP service probe."""
    return int(probe.removeprefix("tcp/"))


def probes_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the service probes of a run, in the order of its config."""
    probed = dict.fromkeys([*manifest.probes, *(entry.probe for entry in manifest.sets)])
    return tuple(probe for probe in probed if probe != CONTROL)


def family_probes(probes: tuple[str, ...], family: str) -> tuple[str, ...]:
    """Return those probes of a family, in their order."""
    return tuple(probe for probe in probes if family_of(probe) == family)


def warnings_of(manifest: Manifest) -> list[str]:
    """Return what a reader of the numbers has to know about the run, one line each: that it is not whole."""
    if manifest.status == "complete":
        return []
    reason = f" ({manifest.reason})" if manifest.reason else ""
    meaning = {
        "partial": "it stopped early, and its numbers cover what was probed until then",
        "running": "it has not finished, or was killed: what it has sent so far is not all in its sets",
    }[manifest.status]
    return [f"{manifest.run}: status {manifest.status}{reason}: {meaning}"]
