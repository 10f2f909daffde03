"""The sets of one run, as the analysis asks for them: by probe, family, kind and role."""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from pyroaring import BitMap

from liveness.store.manifest import Manifest, SetEntry
from liveness.types import CONTROL, Kind, Role

FAMILIES: Final = ("icmp", "tcp", "udp")

POSITIVE: Final = (Kind.ECHO_REPLY, Kind.SYN_ACK, Kind.ANSWER)
"""Positive replies: the service is there."""

REPLIES: Final = (*POSITIVE, Kind.RST)
"""What makes an address network alive, errors apart (Bano et al. 2018, figure 2); of UDP, valid answers only."""

ACTIVITY: Final = (*REPLIES, Kind.PAYLOAD)
"""What makes an address active, errors apart (figure 5); of UDP, invalid payloads too."""

ReadSet = Callable[[SetEntry], BitMap]


def family_of(probe: str) -> str | None:
    """Return the family of a probe by its name: icmp, tcp, udp, or None for the control."""
    if probe == CONTROL:
        return None
    if probe == "icmp":
        return "icmp"
    return "tcp" if probe.startswith("tcp/") else "udp"


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


class RunSets:
    """One run's sets, read when first asked for and then kept.

    Every set is by the reply's source address unless a role says otherwise (Bano et al. 2018, section 4). The bitmaps
    this class returns are its own: combine them, do not change them.
    """

    def __init__(self, manifest: Manifest, read: ReadSet) -> None:
        self.manifest = manifest
        self._read = read
        self._loaded: dict[str, BitMap] = {}
        self._unions: dict[tuple[object, ...], BitMap] = {}
        probed = dict.fromkeys([*manifest.probes, *(entry.probe for entry in manifest.sets)])
        self.has_control = CONTROL in probed or manifest.control_port is not None
        self.probes = tuple(probe for probe in probed if probe != CONTROL)

    @property
    def tcp_ports(self) -> tuple[int, ...]:
        """The TCP service ports probed, in the order of the config."""
        return tuple(int(probe.removeprefix("tcp/")) for probe in self.family_probes("tcp"))

    def family_probes(self, family: str) -> tuple[str, ...]:
        """Return the service probes of a family, in the order of the config."""
        return tuple(probe for probe in self.probes if family_of(probe) == family)

    def union(self, probes: Iterable[str], kinds: Collection[Kind], role: Role = Role.SOURCE) -> BitMap:
        """Return the addresses in any set of these probes and kinds."""
        wanted, of_kinds = frozenset(probes), frozenset(kinds)
        key = (wanted, of_kinds, role)
        if key not in self._unions:
            entries = [entry for entry in self.manifest.sets if entry.probe in wanted and entry.role == role]
            self._unions[key] = self._join(entry for entry in entries if Kind.from_label(entry.kind) in of_kinds)
        return self._unions[key]

    def errors_by(self, probes: Collection[str], label: Callable[[int, int], str]) -> dict[str, BitMap]:
        """Return the sources of errors to these probes by the label of their ICMP type and code; no empty sets."""
        labelled: dict[str, list[SetEntry]] = {}
        for entry in self.manifest.sets:
            if entry.probe in probes and entry.role == Role.SOURCE and entry.error is not None:
                labelled.setdefault(label(*entry.error), []).append(entry)
        return {name: self._join(entries) for name, entries in labelled.items()}

    def everything(self) -> BitMap:
        """Return the sources of any accepted reply of any kind to any probe, control included."""
        return self.union((*self.probes, CONTROL), tuple(Kind))

    def replies(self, family: str) -> BitMap:
        """Return the sources of a family's replies that are no errors; of UDP, valid answers alone."""
        return self.union(self.family_probes(family), REPLIES)

    def errors(self, family: str) -> BitMap:
        """Return the sources of ICMP errors, of any captured type, to a family's probes."""
        return self.union(self.family_probes(family), (Kind.ERROR,))

    def network_alive(self, family: str) -> BitMap:
        """Return ICMP_nw, TCP_nw or UDP_nw of the paper: the family's replies and errors together."""
        return self.union(self.family_probes(family), (*REPLIES, Kind.ERROR))

    def all_addresses(self) -> BitMap:
        """Return IPall of the paper: the union of ICMP_nw, TCP_nw and UDP_nw."""
        return self.union(self.probes, (*REPLIES, Kind.ERROR))

    def activity(self, probe: str, *, with_errors: bool) -> BitMap:
        """Return the addresses active for one probe: echo reply; SYN-ACK or RST; answer or payload; or an error too."""
        return self.union((probe,), (*ACTIVITY, Kind.ERROR) if with_errors else ACTIVITY)

    def syn_ack(self, port: int) -> BitMap:
        """Return the addresses that sent a SYN-ACK from a port: alive on it."""
        return self.union((f"tcp/{port}",), (Kind.SYN_ACK,))

    def rst(self, port: int) -> BitMap:
        """Return the addresses that sent an RST from a port."""
        return self.union((f"tcp/{port}",), (Kind.RST,))

    def _join(self, entries: Iterable[SetEntry]) -> BitMap:
        """Return the union of the sets of these entries."""
        return BitMap.union(BitMap(), *(self._set(entry) for entry in entries))

    def _set(self, entry: SetEntry) -> BitMap:
        """Return one set, read and verified the first time."""
        if entry.file not in self._loaded:
            self._loaded[entry.file] = self._read(entry)
        return self._loaded[entry.file]
