"""Watchers: one that fails is left alone, and nobody else notices."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from liveness.watch.watchers import Watcher, Watchers


class Noting:
    """A watcher that notes what it is called for, and fails from the `fails`-th call on."""

    def __init__(self, fails: int = 99) -> None:
        self.calls: list[str] = []
        self.fails = fails

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method
        def call(*_: object) -> None:
            self.calls.append(name)
            if len(self.calls) >= self.fails and name not in ("open", "close"):
                raise ZeroDivisionError("a bug")

        return call


@pytest.mark.parametrize("fails", [2, 3, 4, 5])
@pytest.mark.parametrize("hears", [True, False])
def test_a_failing_watcher_is_reported_once_and_the_others_continue(fails: int, hears: bool) -> None:
    good, bad, notices = Noting(), Noting(fails), []

    def notice(text: str) -> None:
        notices.append(text)
        if not hears:
            raise BrokenPipeError

    readings = cast("Any", SimpleNamespace(read=lambda progress: progress))
    everybody = cast("list[Watcher]", [bad, good])
    with Watchers(everybody, notice, _meter=readings) as watchers:
        watchers.begin(cast("Any", None), cast("Any", None))
        for _ in range(2):
            watchers.update(cast("Any", object()))
        watchers.end(cast("Any", None))
    assert good.calls == ["open", "begin", "read", "read", "end", "close"]
    assert bad.calls == [*["open", "begin", "read", "read", "end"][:fails], "close"]
    assert len(notices) == 1
    assert notices[0].startswith("WARNING: Noting watches no more: ZeroDivisionError: a bug (test_watchers.py:")
