"""The model lab: a supervisor whose init answers for the model Internet."""

import select
import time
from pathlib import Path
from typing import Final

from liveness import log
from liveness.errors import LivenessError
from liveness.lab.source import PopulationFile
from liveness.lab.supervisor import LabSupervisor
from liveness.system.bpf import ACCEPT, RETURN, Instruction, Program, assemble

RING_MIB: Final = 128
RETIRE_MS: Final = 30
"""Milliseconds after which a block is delivered although it is not full: at low rates the ring covers four seconds."""
EVERYTHING: Final[Program] = assemble([Instruction(RETURN, ACCEPT)])


class ModelLab(LabSupervisor):
    """The model Internet of a population file, linked to the namespace of this process.

    `runs` is the file in which scans announce themselves. After the lab is closed every announced run has its record.
    Large modules and the population are loaded by the init: the owner of a lab runs other programs and stays small.
    """

    def __init__(self, population: PopulationFile, runs: Path, *, verbose: bool = False) -> None:
        super().__init__()
        self.population = population
        self.runs = runs
        self.verbose = verbose

    def start(self) -> None:
        """Join the scanner, and prepare to answer. Runs in the init."""
        from liveness.lab.model.population.load import load_population  # noqa: PLC0415 - see the class
        from liveness.lab.model.responder.conditions import parse_conditions  # noqa: PLC0415
        from liveness.lab.model.responder.network import FAR_INTERFACE, join_scanner  # noqa: PLC0415
        from liveness.lab.model.responder.process import Responder, warm_up  # noqa: PLC0415
        from liveness.lab.model.responder.state import SLOT_BYTES, make_model  # noqa: PLC0415
        from liveness.net.rx_packet import PacketRxRing  # noqa: PLC0415
        from liveness.net.transport import open_transport  # noqa: PLC0415

        conditions = parse_conditions(self.population.network, self.population.origin)
        population = load_population(self.population.origin)
        join_scanner()
        model = make_model(population.tables, population.seed, conditions, population.model.time, time.time_ns())
        tx_ring = open_transport(FAR_INTERFACE, 1, SLOT_BYTES, 1, "auto", "auto").rings[0]
        warm_up(model, tx_ring)
        rx_ring = PacketRxRing(FAR_INTERFACE, EVERYTHING, RING_MIB, RETIRE_MS)
        self._responder = Responder(model, conditions, self.population.text, rx_ring, tx_ring, self.runs)

    def watch(self, control: int) -> str | None:
        """Answer until the owner closes, then log what was wrong with the scanner's packets. Runs in the init."""
        responder = self._responder
        try:
            responder.run(lambda: bool(select.select([control], [], [], 0)[0]))
        except LivenessError as problem:
            return f"the lab's model of the Internet ended: {problem}"
        lines = [f"{count:,} malformed packets: {label}" for label, count in responder.malformed.items()]
        if responder.overrun:
            lines.append(f"the model was too slow for {responder.overrun:,} packets: lower the rate")
        if self.verbose:
            lines.append(f"{responder.packets:,} packets came, {responder.replies:,} went back")
        for line in lines:
            log.notice(f"lab: {line}")
        return None
