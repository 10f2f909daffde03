"""The groups in which the tests run side by side are all tests, each once."""

import subprocess
from collections import Counter

from tests.census.support import ROOT


def test_every_test_file_is_in_one_group() -> None:
    listed = subprocess.run([ROOT / "scripts" / "test_groups"], capture_output=True, text=True, check=True).stdout
    found = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name != "cards"]
    assert Counter(listed.split()) == Counter(found)
    assert all(listed.splitlines()), "an empty group would be all tests"
    assert len({line.split()[0].split("/")[1] for line in listed.splitlines()}) > 1
