"""Census of IPv4 liveness, and its analysis, after Bano et al. 2018.

The names in `__all__` are the whole public interface; everything else is private and may change in any version.

    import liveness

    run = liveness.open_run("sets/sept5/2026-11-21T000000Z")
    alive = run.set("tcp/443", "syn-ack")
    document = liveness.analyze(run).document()

Importing this package is quick: a name is loaded, with what it needs, when it is first used. Every function raises
`LivenessError` or one of its subclasses for what a user can correct, with a message of one line.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from liveness.version import __version__

if TYPE_CHECKING:
    from liveness.api.config import load_config
    from liveness.api.passive import Passive, open_passive
    from liveness.api.results import Results, analyze
    from liveness.api.run import Key, Run, find_runs, open_run
    from liveness.api.sets import read_set, write_set
    from liveness.api.survey import Survey, open_survey
    from liveness.config.model import Config
    from liveness.errors import (
        ConfigWarning,
        InterfaceDownError,
        InterfaceGoneError,
        LivenessError,
        RefusedError,
        StoppedEarlyError,
        UnsupportedError,
        UsageError,
    )
    from liveness.runs.manifest import Manifest

__all__ = [
    "Config",
    "ConfigWarning",
    "InterfaceDownError",
    "InterfaceGoneError",
    "Key",
    "LivenessError",
    "Manifest",
    "Passive",
    "RefusedError",
    "Results",
    "Run",
    "StoppedEarlyError",
    "Survey",
    "UnsupportedError",
    "UsageError",
    "__version__",
    "analyze",
    "find_runs",
    "load_config",
    "open_passive",
    "open_run",
    "open_survey",
    "read_set",
    "write_set",
]

_MODULES: Final = {
    "api.config": ("load_config",),
    "api.passive": ("Passive", "open_passive"),
    "api.results": ("Results", "analyze"),
    "api.run": ("Key", "Run", "find_runs", "open_run"),
    "api.sets": ("read_set", "write_set"),
    "api.survey": ("Survey", "open_survey"),
    "config.model": ("Config",),
    "errors": (
        "ConfigWarning",
        "InterfaceDownError",
        "InterfaceGoneError",
        "LivenessError",
        "RefusedError",
        "StoppedEarlyError",
        "UnsupportedError",
        "UsageError",
    ),
    "runs.manifest": ("Manifest",),
}
"""The module of each public name, below this package."""

_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # a type checker would take any name for one of this package

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type checker reads the imports above
        """Load a public name when it is first used."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return the public names, for completion in a shell or notebook."""
    return sorted(__all__)
