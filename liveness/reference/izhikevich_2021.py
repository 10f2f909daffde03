"""Izhikevich, Teixeira, Durumeric 2021, "LZR: Identifying Unexpected Internet Services" (USENIX Security)."""

from dataclasses import dataclass
from typing import Final

LABEL: Final = "LZR 2021"


@dataclass(frozen=True, slots=True)
class Scanned:
    """One port in the full scans of June 2020 (table 4): addresses in millions."""

    syn_ack: float
    zero_window: float
    closed: float
    acknowledged: float
    """Acknowledged data, whether they spoke or not."""
    expected: float
    """Spoke the protocol that the port is assigned to."""
    unexpected: float
    """Spoke another one."""

    @property
    def acknowledges(self) -> float:
        """Share of the SYN-ACKs whose sender acknowledged data."""
        return self.acknowledged / self.syn_ack

    @property
    def speaks(self) -> float:
        """Share of the SYN-ACKs whose sender sent data of a protocol that LZR knows."""
        return (self.expected + self.unexpected) / self.syn_ack

    @property
    def speaks_protocol(self) -> float:
        """Share of the SYN-ACKs whose sender spoke the protocol that the port is assigned to."""
        return self.expected / self.syn_ack

    @property
    def expected_share(self) -> float:
        """Share of those that spoke, in a protocol that LZR knows, whose protocol was that of the port."""
        return self.expected / (self.expected + self.unexpected)

    @property
    def words(self) -> str:
        """The shares of the SYN-ACKs as a table prints them."""
        other, closed = self.unexpected / self.syn_ack, self.closed / self.syn_ack
        return f"{self.speaks_protocol:.0%} answer, {other:.1%} payload, {closed:.0%} closed"


FULL_SCANS: Final = {
    23: Scanned(6.4, 1.0, 0.673, 4.6, 2.71, 0.230),
    80: Scanned(62.6, 1.3, 1.7, 55.0, 54.66, 0.238),
    443: Scanned(51.8, 2.1, 2.3, 45.0, 43.7, 1.3),
}
