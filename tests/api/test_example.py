"""The examples of docs/python.md: run in order on a census of the lab's hosts, every output compared."""

import doctest
import shutil
from pathlib import Path

import pytest

from tests.census.support import CONFIGS, EXEC, LIVENESS, ROOT, clean_environment, run

DOCUMENT = ROOT / "docs" / "python.md"


@pytest.mark.lab
def test_the_examples_of_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CONFIGS, tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    scan = [*EXEC, "--", *LIVENESS, "scan", "--config", "configs/lab.yaml"]
    environment = clean_environment(LIVENESS_REPLIES="parquet", PYTHONPATH=str(ROOT))
    done = run(*scan, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    parser = doctest.DocTestParser()
    examples = parser.get_doctest(DOCUMENT.read_text(), {}, DOCUMENT.name, str(DOCUMENT), 0)
    assert len(examples.examples) > 20
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    failed, _ = runner.run(examples, out=said.append, clear_globs=False)
    examples.globs.clear()
    assert not failed, "".join(said)
