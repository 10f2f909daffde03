"""All kinds of files that the tool reads, by name."""

from tests.fuzzing.kinds import captures, documents, flows, model, passive, runs, sets, surveys
from tests.fuzzing.kinds.kind import FileKind


def all_kinds() -> dict[str, FileKind]:
    """Return all kinds of files."""
    every = [
        *documents.kinds(),
        *runs.kinds(),
        *sets.kinds(),
        *captures.kinds(),
        *flows.kinds(),
        *surveys.kinds(),
        *passive.kinds(),
        *model.kinds(),
    ]
    assert len({kind.name for kind in every}) == len(every)
    return {kind.name: kind for kind in every}
