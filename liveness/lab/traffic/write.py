"""Writes a scene to a folder: its flows in the formats chosen, a config for each, labels and truth."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from liveness.files.atomic import replaced
from liveness.flows.record import Flows, Notes
from liveness.flows.write import write_flows
from liveness.lab.traffic.artefacts import with_artefacts
from liveness.lab.traffic.exports import VERSIONS, export_capture
from liveness.lab.traffic.labels import LABELS, TRUTH, write_labels
from liveness.lab.traffic.network import LOCAL_PREFIX, OWN_PROBER
from liveness.lab.traffic.packets import capture_bytes, packets_of
from liveness.lab.traffic.records import records_of
from liveness.lab.traffic.scene import Scene, truth_document
from liveness.space.addresses import format_address

FORMATS: Final = ("parquet", "csv", *VERSIONS, "pcap")
NO_TEMPLATE: Final = "no-template"
_BATCH: Final = 1 << 16


def write_scene(scene: Scene, folder: Path, formats: Iterable[str], artefacts: tuple[str, ...]) -> list[Path]:
    """Write a scene and return the config of each format. LivenessError or OSError if the disk refuses.

    Artefacts are those of exporters: packets in a capture have none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flows = with_artefacts(scene.seed, records_of(scene.conversations), artefacts)
    notes = Notes()
    for number in range(int(flows["exporter"].max(initial=0)) + 1):
        notes.exporter(f"border-{number + 1}")
    configs = []
    for name in formats:
        if name in VERSIONS:
            path = folder / f"{name}.pcap"
            _write(path, export_capture(flows, name, late_template=NO_TEMPLATE in artefacts))
        elif name == "pcap":
            path = folder / "packets.pcap"
            _write(path, capture_bytes(packets_of(scene.conversations)))
        else:
            path = folder / f"flows.{name}"
            write_flows(_batches(flows), notes, path)
        configs.append(_write_config(folder / f"{name}.yaml", path))
    write_labels(scene.conversations, folder / LABELS)
    _write(folder / TRUTH, [json.dumps(truth_document(scene), indent=1).encode() + b"\n"])
    return configs


def _batches(flows: Flows) -> Iterator[Flows]:
    for first in range(0, len(flows), _BATCH):
        yield flows[first : first + _BATCH]


def _write(path: Path, parts: Iterable[bytes]) -> None:
    with replaced(path) as file:
        for part in parts:
            file.write(part)


def _write_config(path: Path, flows: Path) -> Path:
    lines = [
        f"name: {path.stem}",
        f"local: [{LOCAL_PREFIX}]",
        f"inputs: [{flows.name}]",
        f"own_probes: [{format_address(OWN_PROBER)}]",
        "keep_flows: true",
    ]
    _write(path, ["".join(f"{line}\n" for line in lines).encode()])
    return path
