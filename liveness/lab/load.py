"""Lab files: read by path, or by the name of one that comes with the package, and checked."""

from liveness.files.documents import shaped
from liveness.files.yaml import parse_yaml
from liveness.lab.hosts.document import Internet
from liveness.lab.hosts.validation import validate
from liveness.lab.source import LAB_FILES, POPULATIONS

DEFAULT = "default"


def packaged() -> list[str]:
    """Return the names of the lab files that come with the package."""
    return LAB_FILES.names()


def load_internet(source: str = DEFAULT) -> Internet:
    """Load a lab file by path, or by the name of a packaged one. UsageError names file, path and value."""
    return parse_internet(LAB_FILES.read(source, POPULATIONS.names), source)


def parse_internet(text: str, origin: str) -> Internet:
    """Parse and check the text of a lab file; `origin` names it in errors (UsageError)."""
    internet = shaped(parse_yaml(text, origin), Internet, origin, text=text)
    validate(internet, origin)
    return internet
