"""The counters of a scan, each declared once: name, unit, who counts it, by what, and where it appears.

A counter is an attribute of `Counts`, whose annotation says everything about it. Shared memory, progress, status lines,
metrics, the timeline and the manifest take it from there: a new counter is one declaration and the code that counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, get_type_hints

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """Declaration of a counter."""

    help: str
    """One sentence, which metrics show to people."""
    unit: Literal["frames", "packets", "replies", "targets", "s"]
    per: Literal["sender", "receiver", "supervisor"]
    """Who counts it: each writes a row of its own in shared memory, and no other."""
    by: tuple[Literal["probe", "attempt"], ...] = ()
    """The further axes that it has in shared memory."""
    shown: str | None = None
    """Its name in progress and status lines, None for its own. Counters that are shown under one name add up."""
    hidden: bool = False
    """Whether it appears in shared memory alone."""
    each_probe: bool = False
    """Whether it is shown for each probe, and not as one number."""
    mean: bool = False
    """Whether it is shown as the mean of those who count it, and not as their sum."""
    metric: str | None = None
    """The metric, None for ``liveness_<name>_total``."""
    metric_help: str | None = None
    """The sentence for a metric that several counters share."""
    where: str = ""
    """The label `where`, which distinguishes counters of one metric."""
    interval: str = ""
    """The column of the timeline that it adds to, if any."""
    recorded: str = ""
    """The field of the manifest that has it; `counters` if it has none of its own."""


_DROPS: Final[Mapping[str, Any]] = {"metric": "liveness_drops_total", "metric_help": "Packets lost on this host."}


class Counts:
    """The arrays of all counters: a row for each of those who count it, then the axes of `by`."""

    sent: Annotated[
        Ints,
        Counter(
            help="Probes sent, repeats included.",
            unit="frames",
            per="sender",
            by=("probe", "attempt"),
            each_probe=True,
            metric="liveness_probes_sent_total",
            interval="sent",
            recorded="probes",
        ),
    ]
    """Frames filled and handed over in this session; repairs are not among them."""
    sent_before: Annotated[
        Ints,
        Counter(
            help="Probes that earlier sessions have sent, as far as this one does not send them again.",
            unit="frames",
            per="sender",
            by=("probe", "attempt"),
            shown="sent",
            each_probe=True,
            metric="liveness_probes_sent_total",
            recorded="probes",
        ),
    ]
    accepted: Annotated[
        Ints,
        Counter(
            help="Replies accepted, duplicates included.",
            unit="replies",
            per="receiver",
            by=("probe",),
            shown="replies",
            each_probe=True,
            interval="accepted",
            recorded="messages",
        ),
    ]
    completed: Annotated[
        Ints,
        Counter(
            help="Frames that the kernel reported as sent.",
            unit="frames",
            per="sender",
            hidden=True,
            interval="completed",
            recorded="transmit",
        ),
    ]
    packets: Annotated[
        Ints,
        Counter(
            help="Packets past the capture filter.",
            unit="packets",
            per="receiver",
            metric="liveness_packets_received_total",
            interval="packets",
            recorded="receive",
        ),
    ]
    rejected: Annotated[
        Ints,
        Counter(
            help="Packets that are no replies to us.",
            unit="packets",
            per="receiver",
            metric="liveness_packets_rejected_total",
            interval="rejected",
            recorded="rejected",
        ),
    ]
    kernel_drops: Annotated[
        Ints,
        Counter(
            help="Packets that found a receiver's ring full.",
            unit="packets",
            per="receiver",
            where="kernel",
            interval="kernel_drops",
            recorded="receive",
            **_DROPS,
        ),
    ]
    nic_drops: Annotated[
        Ints,
        Counter(
            help="Packets that the interface received and dropped.",
            unit="packets",
            per="supervisor",
            where="interface",
            interval="nic_drops",
            recorded="receive",
            **_DROPS,
        ),
    ]
    send_errors: Annotated[
        Ints,
        Counter(
            help="Frames that were handed over and never left: refused, or in the ring when the interface failed.",
            unit="frames",
            per="sender",
            by=("probe",),
            where="send",
            interval="send_errors",
            recorded="transmit",
            **_DROPS,
        ),
    ]
    dropped: Annotated[
        Ints,
        Counter(
            help="Frames that the interface dropped or the kernel refused as it sent them, of unknown probes.",
            unit="frames",
            per="sender",
            shown="send_errors",
            where="send",
            interval="send_errors",
            recorded="transmit",
            **_DROPS,
        ),
    ]
    lost: Annotated[
        Ints,
        Counter(
            help="Probes known to have been lost.",
            unit="frames",
            per="supervisor",
            metric="liveness_probes_lost_total",
            recorded="losses",
        ),
    ]
    repaired: Annotated[
        Ints,
        Counter(
            help="Probes sent again for that.",
            unit="frames",
            per="sender",
            by=("probe", "attempt"),
            metric="liveness_probes_repaired_total",
            recorded="transmit",
        ),
    ]
    given_up_s: Annotated[
        Floats,
        Counter(
            help="Time that senders could not keep up with the rate.",
            unit="s",
            per="sender",
            mean=True,
            metric="liveness_given_up_seconds_total",
            recorded="transmit",
        ),
    ]
    interface_sent: Annotated[
        Ints,
        Counter(
            help="Frames that the interface counted as sent.",
            unit="frames",
            per="supervisor",
            hidden=True,
            interval="interface_sent",
            recorded="transmit",
        ),
    ]
    interface_received: Annotated[
        Ints,
        Counter(
            help="Packets that the interface counted as received.",
            unit="packets",
            per="supervisor",
            hidden=True,
            interval="interface_received",
            recorded="timeline",
        ),
    ]
    first_replies: Annotated[
        Ints,
        Counter(
            help="Targets proven to have answered an original, under `rate: auto`.",
            unit="targets",
            per="receiver",
            by=("probe",),
            hidden=True,
            recorded="rate_search",
        ),
    ]


@cache
def declared() -> Mapping[str, Counter]:
    """Return every counter by its name, in the order of declaration."""
    hints = get_type_hints(Counts, include_extras=True)
    return {name: next(iter(hint.__metadata__)) for name, hint in hints.items()}


def shape_of(counter: Counter, lengths: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of a counter's array; `lengths` are the numbers of senders, receivers, probes and attempts."""
    return 1 if counter.per == "supervisor" else lengths[counter.per], *(lengths[axis] for axis in counter.by)
