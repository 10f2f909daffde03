"""What a probe is: its name, where it goes, and the words that describe it to people."""

from dataclasses import dataclass
from enum import IntEnum

from liveness.packets.cookie import probe_code
from liveness.replies import Kind


class Method(IntEnum):
    """Which file's kernels make a probe's frames and match its replies."""

    ICMP = 0
    TCP = 1
    DNS = 2
    NTP = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a run.

    `name` is its name in config, manifest and sets; `port` the destination port (0 for ICMP); `fields` names the bits
    of the cookie it carries; `payload` what it carries besides; `replies` says for each kind what is accepted as one.
    """

    name: str
    method: Method
    protocol: int
    port: int
    fields: str
    payload: str
    replies: dict[Kind, str]

    @property
    def code(self) -> int:
        """The 32-bit number that stands for this probe in the cookie."""
        return probe_code(self.protocol, self.port)
