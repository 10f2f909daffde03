"""The model lab: a supervisor whose init answers for the model Internet."""

import select
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liveness import log
from liveness.errors import LivenessError
from liveness.lab.kernel_settings import Space
from liveness.lab.source import PopulationFile
from liveness.lab.supervisor import LabSupervisor
from liveness.system.bpf import ACCEPT, RETURN, Instruction, Program, assemble

if TYPE_CHECKING:
    from liveness.lab.model.population.load import Population
    from liveness.lab.model.responder.process import Responder

RING_MIB: Final = 128
RETIRE_MS: Final = 30
"""Milliseconds after which a block is delivered although it is not full: at low rates the ring covers four seconds."""
EVERYTHING: Final[Program] = assemble([Instruction(RETURN, ACCEPT)])


class ModelLab(LabSupervisor):
    """The model Internet of a population file, linked to the namespace of this process.

    The vantage points of the population are this namespace and `others`, in their order. `runs` are the files in which
    scans announce themselves, one for each vantage point. After the lab is closed every announced run has its record.
    Large modules and the population are loaded by the init: the owner of a lab runs other programs and stays small.
    """

    def __init__(
        self, population: PopulationFile, runs: Sequence[Path], others: Sequence[Space] = (), *, verbose: bool = False
    ) -> None:
        super().__init__()
        self.population = population
        self.runs = runs
        self.others = others
        self.verbose = verbose

    def start(self) -> None:
        """Join the scanners, and prepare to answer. Runs in the init."""
        from liveness.lab.model.population.load import load_population  # noqa: PLC0415 - see the class
        from liveness.lab.model.responder.network import join_scanners  # noqa: PLC0415

        population = load_population(self.population.origin)
        join_scanners(self.others)
        self._responders: list[Responder] = []
        now_ns = time.time_ns()  # one clock for all vantage points: hosts come and go for all at the same time
        for number in range(1 + len(self.others)):
            self._responders.append(self._responder(population, number, now_ns))

    def _responder(self, population: "Population", number: int, now_ns: int) -> "Responder":
        """Return what answers the vantage point `number`, with its rings open; its clock starts at `now_ns`."""
        from liveness.lab.model.origin.hidden import EVERYWHERE  # noqa: PLC0415 - see the class
        from liveness.lab.model.responder.conditions import conditions_of_place, parse_conditions  # noqa: PLC0415
        from liveness.lab.model.responder.network import far_interface  # noqa: PLC0415
        from liveness.lab.model.responder.process import Responder, load_responder  # noqa: PLC0415
        from liveness.lab.model.responder.state import SLOT_BYTES, make_model  # noqa: PLC0415
        from liveness.net.rx_packet import PacketRxRing  # noqa: PLC0415
        from liveness.net.transport import open_transport  # noqa: PLC0415

        file, places = self.population, self.population.places
        if places:
            conditions = conditions_of_place(file.network, places[number][1], file.origin, number)
        else:
            conditions = parse_conditions(file.network, file.origin)
        model = make_model(
            population.tables,
            population.seed,
            conditions,
            population.model.time,
            now_ns,
            number if places else EVERYWHERE,
        )
        if self._responders:  # the routers are those of one Internet: their limits are for all scanners together
            first = self._responders[0].model
            if len(first.routers) == len(model.routers):
                model = model._replace(routers=first.routers, router_busy_ns=first.router_busy_ns)
        interface = far_interface(number)
        tx_ring = open_transport(interface, 1, SLOT_BYTES, 1, "auto", "auto").rings[0]
        load_responder(model, tx_ring)
        rx_ring = PacketRxRing(interface, EVERYTHING, RING_MIB // (1 + len(self.others)), RETIRE_MS)
        name = places[number][0] if places else ""
        return Responder(model, conditions, file.text, rx_ring, tx_ring, self.runs[number], name)

    def watch(self, control: int) -> str | None:
        """Answer until the owner closes, then log what was wrong with the scanner's packets. Runs in the init."""
        from liveness.lab.model.responder.process import run_all  # noqa: PLC0415 - see the class

        try:
            run_all(self._responders, lambda: bool(select.select([control], [], [], 0)[0]))
        except LivenessError as problem:
            return f"the lab's model of the Internet ended: {problem}"
        for responder in self._responders:
            lines = [f"{count:,} malformed packets: {label}" for label, count in responder.malformed.items()]
            if responder.overrun:
                lines.append(f"the model was too slow for {responder.overrun:,} packets: lower the rate")
            if self.verbose:
                lines.append(f"{responder.packets:,} packets came, {responder.replies:,} went back")
            place = f"{responder.vantage}: " if responder.vantage else ""
            for line in lines:
                log.notice(f"lab: {place}{line}")
        return None
