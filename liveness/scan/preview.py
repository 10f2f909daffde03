"""The preview of a run: what it would send, computed without sockets, privileges or packets."""

from dataclasses import dataclass
from typing import Final

from scapy.layers.l2 import Ether

from liveness.config.estimate import Estimate, estimate
from liveness.config.model import Config
from liveness.probes.fill import finished_frame
from liveness.probes.template import LinkAddresses
from liveness.scan.session import constants_of, plan_run
from liveness.space.addresses import format_address
from liveness.space.targets import Targets

FIRST_ADDRESSES: Final = 10
_NO_LINK: Final = LinkAddresses(bytes(6), bytes(6))


@dataclass(frozen=True, slots=True)
class SamplePacket:
    """The packet of one probe to the first target: its bytes from the IP header on, and a summary in words."""

    probe: str
    data: bytes
    summary: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The size of a run, the names of its blocks, its first addresses, and one packet of each probe."""

    estimate: Estimate
    blocks: tuple[str, ...]
    first_addresses: tuple[str, ...]
    packets: tuple[SamplePacket, ...]


def preview(config: Config, targets: Targets) -> Preview:
    """Return the preview of a run. Raises RefusedError and UsageError as the plan of the run does."""
    plan = plan_run(config, targets)
    addresses = plan.first_addresses(FIRST_ADDRESSES)
    sources = config.network.sources or (0,)
    constants = constants_of(plan, _NO_LINK, sources)
    packets = []
    for index, probe in enumerate(plan.probes):
        packet = Ether(finished_frame(constants, index, 0, int(addresses[0]), 0)).payload
        packets.append(SamplePacket(probe.name, bytes(packet), packet.summary()))
    return Preview(
        estimate=estimate(config, targets, plan.load.wire_bits),
        blocks=tuple(part.name for part in plan.order.parts),
        first_addresses=tuple(format_address(int(address)) for address in addresses),
        packets=tuple(packets),
    )
