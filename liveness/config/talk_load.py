"""The load of talks with TCP services: how many frames an open port gets, how many bits, and for how long."""

from dataclasses import dataclass
from typing import Final

from liveness.applications.registry import ENTRIES, definition_of
from liveness.config.model import Config
from liveness.packets import headers as hdr

EXAMPLE_SHARE: Final = 0.01
"""Share of the targets for which a forecast is printed: no config says how many of them have open ports."""
LONGEST_ADDRESS: Final = "255.255.255.255"


@dataclass(frozen=True, slots=True)
class ServiceLoad:
    """What a talk sends to one open port, at most, if its peer is quiet after a reset."""

    application: str
    probe: str
    frames: int
    """Request, repeat, reset at the end, and a reset of the connection of every other attempt."""
    bits: int
    """Bits on the wire of all of them."""
    longest_frame_bits: int


@dataclass(frozen=True, slots=True)
class TalkLoad:
    """The load of the talks of a run."""

    services: tuple[ServiceLoad, ...]
    rate_pps: float
    """Frames a second that `talk.rate` allows."""
    wait_s: float
    """Time from a SYN-ACK to the end of its talk."""

    @property
    def bandwidth_bps(self) -> float:
        """Bits a second on the wire at most: the longest frames at `talk.rate`."""
        return self.rate_pps * max(service.longest_frame_bits for service in self.services)

    def burden_of(self, opened: dict[str, float]) -> "TalkBurden":
        """Return what the talks with so many open ports send at most, by probe."""
        counted = [(service, opened.get(service.probe, 0.0)) for service in self.services]
        frames = sum(number * service.frames for service, number in counted)
        return TalkBurden(
            services=sum(number for _, number in counted),
            frames=frames,
            bits=sum(number * service.bits for service, number in counted),
            seconds=frames / self.rate_pps,
        )


@dataclass(frozen=True, slots=True)
class TalkBurden:
    """What talks with a number of services send, at most."""

    services: float
    frames: float
    bits: float
    seconds: float
    """Time that these frames take at `talk.rate`: talks lag behind where SYN-ACKs come faster."""


def talk_load(config: Config) -> TalkLoad | None:
    """Return the load of the talks of a config, None if it talks to nobody."""
    if not config.applications:
        return None
    services = []
    for entry in ENTRIES:
        if entry.name in config.applications:
            headers = hdr.ETHERNET_LENGTH + hdr.IPV4_MIN_LENGTH + hdr.TCP_MIN_LENGTH
            request = len(definition_of(entry).request(config.contact).text_for(LONGEST_ADDRESS))
            asking, reset = hdr.bits_on_wire(headers + request), hdr.bits_on_wire(headers)
            resets = config.retransmit.attempts
            services.append(
                ServiceLoad(entry.name, entry.probe, 2 + resets, 2 * asking + resets * reset, max(asking, reset))
            )
    return TalkLoad(tuple(services), config.talk.rate.pps or 0.0, config.talk.wait.seconds)


def example_burden(load: TalkLoad, targets: int) -> TalkBurden:
    """Return what the talks send at most if EXAMPLE_SHARE of so many targets have all the ports open."""
    return load.burden_of({service.probe: targets * EXAMPLE_SHARE for service in load.services})


def talk_document(load: TalkLoad) -> dict[str, object]:
    """Return the load of talks as a JSON document."""
    return {
        "rate_pps": load.rate_pps,
        "bandwidth_bps": round(load.bandwidth_bps),
        "services": {
            service.application: {"probe": service.probe, "frames": service.frames, "bits": service.bits}
            for service in load.services
        },
    }


def burden_document(burden: TalkBurden) -> dict[str, float]:
    """Return what talks send as a JSON document."""
    return {
        "services": burden.services,
        "packets": burden.frames,
        "bits": burden.bits,
        "seconds": burden.seconds,
    }
