"""What the benchmarks have sent: plans over all of IPv4, and the kernels' constants of them."""

from typing import Final

from liveness.config.model import Config, from_document
from liveness.probes.run_constants import RunConstants
from liveness.probes.template import LinkAddresses
from liveness.scan.plan import Plan
from liveness.scan.session import constants_of
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from scripts.benchmarks.network import SOURCE

BLOCK: Final = 0x20000000
BLOCK_ADDRESSES: Final = 1 << 29
CONTROL_PORT: Final = 51833
BEYOND_REACH: Final = {"rate": "50Mpps", "probe_spacing": "100us"}
"""A rate that is never kept, so that nothing is paced, at which all lanes begin soon."""


def plan_over(targets: Targets, **changes: object) -> Plan:
    """Return a plan of our probes over some targets, with some fields of the config changed.

    One process sends and one receives: that is what is measured.
    """
    alone = {"senders": 1, "receive": {"receivers": 1}}
    config = from_document({"name": "bench", "targets": {"allow": ["0.0.0.0/0"]}} | alone | changes)
    assert isinstance(config, Config)  # noqa: S101 - for the type checker
    return Plan(config, targets, CONTROL_PORT if config.control else None, bytes(16))


def everywhere() -> Targets:
    """Return all of IPv4 less special-purpose space."""
    return Targets.build(Intervals.everything(), Intervals.empty())


def one_block(size: int = BLOCK_ADDRESSES) -> Targets:
    """Return the first targets of a /3 that has no special-purpose space: a sender stands still between two blocks."""
    return Targets.build(Intervals.from_bounds([BLOCK], [BLOCK + size - 1]), Intervals.empty())


def census_plan() -> Plan:
    """Return the plan of the paper's probes and the control over all of IPv4, not paced."""
    return plan_over(everywhere(), **BEYOND_REACH)


def kit_for(plan: Plan, link: LinkAddresses) -> RunConstants:
    """Return the kernels' constants of a plan in our networks."""
    return constants_of(plan, link, (SOURCE,))
