"""Reading lab files: from YAML, or by the name of one that comes with the package, to a checked Internet."""

from importlib import resources
from pathlib import Path

import msgspec

from liveness.config.explain import shown_value, value_at
from liveness.config.text import parse_yaml
from liveness.errors import UsageError
from liveness.lab.hosts.document import Internet, validate

DEFAULT = "default"


def packaged() -> list[str]:
    """Return the names of the lab files that come with the package."""
    folder = resources.files("liveness.lab.hosts") / "internets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_internet(source: str = DEFAULT) -> Internet:
    """Load a lab file by path, or by the name of a packaged one. Raises UsageError naming file, path and value."""
    if source in packaged():
        text = (resources.files("liveness.lab.hosts") / "internets" / f"{source}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(source).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as problem:
            # numpy, which it imports, may start threads, and a process that enters a lab must have one
            from liveness.lab.model.population.load import packaged as populations  # noqa: PLC0415

            reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
            names = ", ".join([*packaged(), *populations()])
            raise UsageError(f"{source}: cannot read this lab file: {reason} (packaged ones: {names})") from problem
    return parse_internet(text, source)


def parse_internet(text: str, origin: str) -> Internet:
    """Parse and check the text of a lab file; `origin` names it in errors (UsageError)."""
    document = parse_yaml(text, origin)
    try:
        internet = msgspec.convert(document, Internet)
    except msgspec.ValidationError as problem:
        message, _, path = str(problem).rpartition(" - at `")
        path = path.rstrip("`") if message else "$"
        message = (message or str(problem)).replace("`", "")
        value = shown_value(value_at(document, path))
        raise UsageError(f"{origin}: {path}: {value}: {message[:1].lower()}{message[1:]}") from problem
    validate(internet, origin)
    return internet
