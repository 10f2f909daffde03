"""The scanner's namespace in a lab of the model: its own connections leave the ports of scans alone."""

import pytest

from liveness.lab.kernel_settings import this_space
from liveness.lab.model.responder.network import join_scanners
from liveness.net.ephemeral import DEFAULT_PORTS, LOCAL_RANGE, RESERVED, warning
from liveness.net.links import in_lab
from tests.net.support import in_private_network


@pytest.mark.lab
@in_private_network
def test_no_scan_in_the_lab_warns_of_other_connections() -> None:
    LOCAL_RANGE.write_text("32768 60999\n")
    RESERVED.write_text("\n")
    assert warning(*DEFAULT_PORTS) is not None
    scanner = this_space("the scanner")
    join_scanners()
    scanner.enter()
    assert not in_lab()  # special-purpose space is no target in this lab
    assert warning(*DEFAULT_PORTS) is None
    assert warning(5_000, 65_535) is None
