"""The values of Wan et al. 2020, "On the Origin of Scanning: The Impact of Location on Internet-Wide Scans" (IMC 2020).

Seven origins scanned IPv4 for HTTP, HTTPS and SSH at the same time, in three trials. A host counts there if it
completes a handshake of its protocol.
"""

from typing import Final

from liveness.reference.published import Published

LABEL: Final = "Wan 2020"
_HOSTS: Final = "hosts that any origin saw"

VALUES: Final = {
    value.id: value
    for value in (
        Published("missed.tcp/80", 0.016, 0.084, "share", _HOSTS, "abstract", "1.6% to 8.4%"),
        Published("missed.tcp/443", 0.015, 0.046, "share", _HOSTS, "abstract", "1.5% to 4.6%"),
        Published("missed.tcp/22", 0.083, 0.182, "share", _HOSTS, "abstract", "8.3% to 18.2%"),
        Published("gain.tcp/80", 0.98, 0.99, "share", _HOSTS, "two or three origins", "98% to 99%"),
        Published("gain.tcp/443", 0.98, 0.99, "share", _HOSTS, "two or three origins", "98% to 99%"),
        Published("transient", 0.516, 0.516, "share", "hosts that an origin missed", "text", "51.6%"),
        Published("exclusive", 0.0017, 0.0017, "share", _HOSTS, "text", "0.17%"),
    )
}
"""Published values by id."""
