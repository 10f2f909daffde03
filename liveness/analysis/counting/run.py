"""The meaning of a run's probes and replies for the analysis: families, kinds of liveness, and completeness."""

from typing import Final

from liveness.replies import CONTROL, POSITIVE, Kind
from liveness.runs.manifest import Manifest, Vantage

FAMILIES: Final = ("icmp", "tcp", "udp")

REPLIES: Final = (*POSITIVE, Kind.RST)
"""Replies other than errors that make an address network alive (Bano et al. 2018, figure 2); for UDP valid answers."""

ACTIVITY: Final = (*REPLIES, Kind.PAYLOAD)
"""Replies other than errors that make an address active (figure 5); for UDP invalid payloads too."""


def family_of(probe: str) -> str | None:
    """Return the family of a probe name: icmp, tcp, udp, or None for the control probe."""
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
    """Return the probes of a family, in their order."""
    return tuple(probe for probe in probes if family_of(probe) == family)


def vantage_of(manifest: Manifest) -> str:
    """Return the name of a run's vantage point; without one, its source addresses, its host, or the run itself."""
    if isinstance(manifest.vantage, Vantage):
        return manifest.vantage.name
    merged = dict.fromkeys(part.vantage for part in manifest.merged_from or () if part.vantage)
    return "+".join(merged) or ", ".join(manifest.source_addresses) or manifest.host or manifest.run


def warnings_of(manifest: Manifest) -> list[str]:
    """Return a warning for each reason why the run is not complete; none for a complete run."""
    if manifest.status == "complete":
        return []
    reason = f" ({manifest.reason})" if manifest.reason else ""
    meaning = {
        "partial": "it stopped early, and its numbers cover what was probed until then",
        "running": "it has not finished, or was killed: what it has sent so far is not all in its sets",
    }[manifest.status]
    return [f"{manifest.run}: status {manifest.status}{reason}: {meaning}"]
