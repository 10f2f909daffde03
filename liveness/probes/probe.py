"""What a probe is: its name, where it goes, and the words that describe it to people."""

from dataclasses import dataclass

from liveness.packets.cookie import probe_code
from liveness.replies import Kind


@dataclass(frozen=True, slots=True)
class Description:
    """What a probe's file says about it.

    `protocol` is the IP protocol; `port` the destination port, 0 for ICMP, None where the name of the probe has it.
    `fields` names the bits of the cookie it carries, `payload` what it carries besides, and `replies` says for each
    kind what is accepted as one. `echoes_cookie` and `any_port` describe UDP answers: whether they return bits of the
    cookie in their payload, and whether they may come from another port than the probed one.
    """

    protocol: int
    port: int | None
    fields: str
    payload: str
    replies: dict[Kind, str]
    echoes_cookie: bool = True
    any_port: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a run.

    `name` is its name in config, manifest and sets, `method` the file in this folder that defines it, `number` the
    place of that file in the registry, by which kernels know it. `port` is the destination port (0 for ICMP).
    """

    name: str
    method: str
    number: int
    port: int
    description: Description

    @property
    def protocol(self) -> int:
        """The IP protocol."""
        return self.description.protocol

    @property
    def fields(self) -> str:
        """The fields that carry the cookie."""
        return self.description.fields

    @property
    def payload(self) -> str:
        """What the probe carries besides."""
        return self.description.payload

    @property
    def replies(self) -> dict[Kind, str]:
        """What is accepted as a reply of each kind."""
        return self.description.replies

    @property
    def code(self) -> int:
        """The 32-bit number of this probe in the cookie."""
        return probe_code(self.protocol, self.port)
