"""Flow records of conversations: what an exporter without faults writes, one record for each direction."""

from typing import Final

import numpy as np

from liveness.flows.record import Flows, empty
from liveness.lab.traffic.conversation import ICMP, TCP, Answer, Conversations

NS_PER_MS: Final = 1_000_000
ERROR_BYTES: Final = 56
"""An ICMP error that quotes a header and eight bytes."""
PORT_UNREACHABLE: Final = 3 << 8 | 3


def records_of(made: Conversations, exporter: int = 0) -> Flows:
    """Return the records of all directions in which packets went, in the order of their last packets."""
    flows = np.concatenate([_forward(made), _answers(made[made["answer"] != Answer.NONE])])
    flows["exporter"] = exporter
    return flows[np.argsort(flows["end_ns"], kind="stable")]


def _forward(made: Conversations) -> Flows:
    flows = empty(len(made))
    for name in ("src", "dst", "sport", "dport", "protocol", "packets"):
        flows[name] = made[name]
    flows["start_ns"] = made["start_ms"] * NS_PER_MS
    flows["end_ns"] = (made["start_ms"] + made["duration_ms"] * (made["packets"] > 1)) * NS_PER_MS
    flows["bytes"] = made["packets"].astype(np.uint64) * made["size"]
    flows["flags"] = np.where(made["protocol"] == TCP, made["flags"], 0)
    return flows


def _answers(made: Conversations) -> Flows:
    flows = empty(len(made))
    first_ms = made["start_ms"] + made["delay_ms"]
    flows["start_ns"] = first_ms * NS_PER_MS
    flows["end_ns"] = (first_ms + made["duration_ms"] * (made["answer_packets"] > 1)) * NS_PER_MS
    flows["src"], flows["dst"] = made["dst"], made["src"]
    flows["sport"], flows["dport"] = made["dport"], made["sport"]
    flows["protocol"], flows["packets"] = made["protocol"], made["answer_packets"]
    flows["bytes"] = made["answer_packets"].astype(np.uint64) * made["answer_size"]
    flows["flags"] = np.where(made["protocol"] == TCP, made["answer_flags"], 0)
    echo = made["protocol"] == ICMP
    flows["sport"][echo] = flows["dport"][echo] = 0  # an echo reply is of type 0, code 0
    error = made["answer"] == Answer.ERROR
    flows["protocol"][error], flows["sport"][error], flows["dport"][error] = ICMP, 0, PORT_UNREACHABLE
    flows["packets"][error], flows["bytes"][error], flows["flags"][error] = 1, ERROR_BYTES, 0
    flows["end_ns"][error] = flows["start_ns"][error]
    return flows
