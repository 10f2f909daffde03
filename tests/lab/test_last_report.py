"""What goes wrong while a lab is closed reaches its owner: the model writes its last record then."""

import select

import pytest

from liveness.errors import LivenessError, UsageError
from liveness.lab.supervisor import LabSupervisor
from tests.net.support import in_private_network

pytestmark = pytest.mark.lab


class Closing(LabSupervisor):
    """A lab without hosts, whose last work fails if `problem` says so."""

    def __init__(self, problem: str | None) -> None:
        super().__init__()
        self.problem = problem

    def start(self) -> None:
        """Do nothing: there are no services."""

    def watch(self, control: int) -> str | None:
        """Wait until the owner closes."""
        select.select([control], [], [])
        return self.problem


@in_private_network
def test_a_problem_while_a_lab_is_closed_is_raised_once() -> None:
    lab = Closing("record.json: cannot write the lab's record")
    with pytest.raises(LivenessError, match=r"^record\.json: cannot write the lab's record$"), lab:
        assert lab.pid
    assert not lab.pid
    lab.close()


@in_private_network
def test_a_lab_that_closes_well_raises_nothing() -> None:
    with Closing(None):
        pass


@in_private_network
def test_an_error_of_the_owner_is_not_replaced() -> None:
    with pytest.raises(UsageError, match="mine"), Closing("record.json: cannot write the lab's record"):
        raise UsageError("mine")
