"""Record types of the passive instrument: an observation is a record with a direction, a row a flow of both directions.

An observation is what is left of a flow record once its ends are sorted into local and remote. A row gathers all
observations of one key (local address, remote address, local port, remote port, protocol) in one interval, a direction
at a time.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OBSERVATION_DTYPE: Final = np.dtype(
    [
        ("start_ns", np.int64),
        ("end_ns", np.int64),
        ("packets", np.uint64),
        ("bytes", np.uint64),
        ("local", np.uint32),
        ("remote", np.uint32),
        ("exporter", np.uint32),  # digest of the exporter's name: the same in whichever order inputs are read
        ("lport", np.uint16),
        ("rport", np.uint16),
        ("protocol", np.uint8),
        ("kind", np.uint8),  # KIND_* below
        ("flags", np.uint8),
        ("marks", np.uint8),  # INBOUND, OUTBOUND and marks below
    ]
)

ROW_DTYPE: Final = np.dtype(
    [
        ("in_start", np.int64),  # ns since the epoch, NEVER without a flow in this direction
        ("out_start", np.int64),
        ("in_packets", np.uint64),
        ("in_bytes", np.uint64),
        ("out_packets", np.uint64),
        ("out_bytes", np.uint64),
        ("local", np.uint32),
        ("remote", np.uint32),
        ("lport", np.uint16),
        ("rport", np.uint16),
        ("protocol", np.uint8),
        ("kind", np.uint8),
        ("in_flags", np.uint8),  # TCP flags of all packets of the direction, united
        ("out_flags", np.uint8),
        ("marks", np.uint8),
        ("state", np.uint8),  # TWO_WAY and the bits after it: what pairing found
        ("pattern", np.uint16),  # signs, of an inbound one-way flow
    ]
)

NEVER: Final = np.iinfo(np.int64).max

KIND_PORTS: Final = 0
"""Not ICMP: the ports are part of the key."""
KIND_ECHO: Final = 1
"""ICMP echo request or reply: these pair."""
KIND_ERROR: Final = 2
"""ICMP types 3, 4, 5, 11 and 12."""
KIND_OTHER: Final = 3
"""Other ICMP: pairs with nothing, as errors do."""

INBOUND: Final = 1
OUTBOUND: Final = 2
FORWARD_IN: Final = 4
"""An inbound observation is not the reverse direction of a row that describes both."""
QUOTED_OUT: Final = 8
"""A local host's ICMP error quotes the inbound flow."""
QUOTED_IN: Final = 16
"""A remote host's ICMP error quotes the outbound flow."""

TWO_WAY: Final = 1
REFUSED: Final = 2
"""Answered negatively: the reverse direction is RST only, or an ICMP error quotes the flow."""
TURNED_AWAY: Final = 8
"""Refused, and it is the inbound flow that was answered so."""
CONTACT: Final = 4
"""Begun by the remote: a step of its random walk."""

Row = Any
"""One row, as kernels see it."""
Observations = NDArray[np.void]
Blocks = Iterable[Observations]
"""Observations of an interval, a part of them at a time; can be read more than once."""
Rows = NDArray[np.void]
