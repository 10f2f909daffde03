"""Templates of exporters on disk: a collector that is started again decodes data at once."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.documents import decoded
from liveness.files.reading import read_bytes
from liveness.flows import templates
from liveness.flows.domains import MOST_DOMAINS, MOST_TEMPLATES
from liveness.flows.exports import Exports

REMEDY: Final = "remove this file, exporters send their templates again"


class _Template(msgspec.Struct, forbid_unknown_fields=True):
    number: int
    scopes: int
    fields: list[tuple[int, int, int]]


class _Domain(msgspec.Struct, forbid_unknown_fields=True):
    exporter: str
    version: int
    domain: int
    sampling: int
    templates: list[_Template]


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    domains: list[_Domain]


def save(exports: Exports, path: Path) -> None:
    """Write the templates of all exporters. LivenessError if the disk refuses."""
    domains: list[dict[str, Any]] = [
        {
            "exporter": exporter,
            "version": version,
            "domain": number,
            "sampling": domain.sampling,
            "templates": [
                {"number": name, "scopes": template.scope_fields, "fields": template.fields}
                for name, template in domain.templates.items()
            ],
        }
        for (exporter, version, number), domain in exports.domains.known.items()
    ]
    write_atomically(path, json.dumps({"schema": 1, "domains": domains}).encode() + b"\n")


def load(exports: Exports, path: Path) -> int:
    """Load the templates of exporters from a file; return how many they are.

    0 if there is no such file. LivenessError, with the remedy, if it is not the file of a collector.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise LivenessError(f"{path}: cannot read these templates: {error.strerror or error}: {REMEDY}") from error
    document = decoded(content, _Document, path, f"not the templates of a collector: {REMEDY}")
    count = 0
    for saved in document.domains[:MOST_DOMAINS]:
        domain = exports.domains.of(saved.exporter, saved.version, saved.domain)
        domain.sampling = max(0, min(saved.sampling, 2**32 - 1))
        for each in saved.templates[:MOST_TEMPLATES]:
            sound = len(each.fields) <= templates.MOST_FIELDS and all(
                0 <= element < 1 << 15 and 0 <= enterprise < 1 << 32 and 0 <= width < 1 << 16
                for element, enterprise, width in each.fields
            )
            template = templates.make_template(each.fields, max(0, each.scopes)) if sound else None
            if template is not None:
                exports.keep(domain, each.number, template)
                count += 1
    return count
