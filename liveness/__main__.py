"""``python -m liveness``: the same as the ``liveness`` command."""

from liveness.cli.main import run

run()
