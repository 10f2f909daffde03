"""Every place that opens a file has a kind of the fuzzer, or a reason to need none."""

import ast

import pytest

from tests.fuzzing.kinds import all_kinds
from tests.fuzzing.readers import READERS, _calls_in, calls, entry_of


def test_every_place_that_opens_a_file_is_listed() -> None:
    strangers = sorted({call for call in calls() if entry_of(call) is None})
    assert strangers == [], "give them a kind in tests/fuzzing/kinds and an entry in tests/fuzzing/readers.py"


def test_the_list_names_what_there_is() -> None:
    found = {entry_of(call) for call in calls()}
    assert sorted(set(READERS) - found) == []
    kinds = all_kinds()
    for entry in READERS.values():
        assert isinstance(entry, str) or [name for name in entry if name not in kinds] == []


@pytest.mark.parametrize(
    "source",
    [
        "open(path)", "path.open()", "os.open(path, 0)", "Path(name).read_text()", "self._path.read_bytes()",
        "np.fromfile(path)", "np.memmap(path)", "gzip.GzipFile(path)", "read_named(path, 9)", "os.preadv(1, [], 0)",
    ],
)  # fmt: skip
def test_a_new_reader_is_seen(source: str) -> None:
    tree = ast.parse(f"class A:\n    def b(self):\n        with suppress():\n            return {source}\n")
    assert list(_calls_in(tree, "")) == ["A.b"]
    assert entry_of("nowhere.A.b") is None
