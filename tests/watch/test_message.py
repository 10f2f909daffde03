"""Messages of all instruments have the same fields, and commands find them under the instrument's name."""

import json
from pathlib import Path

import pytest

from liveness.census.message import Message
from liveness.errors import UnsupportedError
from liveness.passive.message import PassiveMessage
from liveness.survey.message import SurveyMessage
from liveness.watch.message import MessageOf, failure_of, first_of

FAILED: dict[str, MessageOf] = {
    "census": Message.of_failure(Path("/sets/one"), "no route", 3),
    "survey": SurveyMessage.of_failure("one", None, "/sets/one", "no route", 3),
    "passive": PassiveMessage.of_failure("one", None, "/sets/one", "no route", 3),
}


@pytest.mark.parametrize("instrument", FAILED)
def test_all_instruments_report_a_failure_alike(instrument: str) -> None:
    message = FAILED[instrument]
    document = json.loads(message.encoded())
    assert document == message.document()
    assert {name: document[name] for name in ("schema", instrument, "run", "events", "exit_code", "directory")} == {
        "schema": 1, instrument: "one", "run": None, "events": ["failure"], "exit_code": 3, "directory": "/sets/one",
    }  # fmt: skip
    assert message.variables == {
        f"{instrument.upper()}_{name}": value
        for name, value in {
            "EVENTS": "failure",
            "NAME": "one",
            "RUN": "",
            "SUMMARY": f"{instrument} one: failed: no route",
            "EXIT_CODE": "3",
            "DIRECTORY": "/sets/one",
        }.items()
    }


def test_an_error_has_its_own_exit_code_and_a_bug_that_of_a_failure() -> None:
    assert failure_of(UnsupportedError("no such socket")) == ("no such socket", 3)
    text, code = failure_of(ZeroDivisionError("division by zero"))
    assert text.startswith("ZeroDivisionError: division by zero")
    assert code == 1


def test_a_summary_names_the_first_three() -> None:
    assert first_of(["a", "b"]) == "a, b"
    assert first_of(["a", "b", "c"]) == "a, b, c"
    assert first_of(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
