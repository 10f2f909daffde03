"""Options that several commands have, and the decorator that adds a group of options to a command."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def with_options(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Add several options to a command, listed in this order."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
