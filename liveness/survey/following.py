"""The survey that follows a census: its config, its last run, and its /24s, which are drawn from the census' runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from liveness.config.model import Config
from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.planes.manifest import NAME
from liveness.survey.config import SurveyConfig
from liveness.survey.config_files import load_survey_config
from liveness.survey.mix import apportioned, parse_mix
from liveness.survey.progress import SurveyProgress, progress_of
from liveness.survey.schedule import Survey, plan_survey
from liveness.survey.selection import encode_state, load_state, select
from liveness.survey.sources import read_sources

WORD: Final = "survey"
"""Value of `then` that names DEFAULT_FILE."""
DEFAULT_FILE: Final = "survey.yaml"
STATE_FILE: Final = "selection.json"
"""In the directory of the survey: the random and spaced blocks that are kept."""


def file_of(census: Config, config_file: Path) -> Path:
    """Return the config of the survey that follows a census; its name starts at the census' config."""
    return config_file.parent / Path(DEFAULT_FILE if census.then == WORD else census.then).expanduser()


def config_of(census: Config, config_file: Path) -> SurveyConfig:
    """Return the config of the survey that follows a census. UsageError for one that cannot follow it."""
    file = file_of(census, config_file)
    config = load_survey_config(file, following=True)
    if home_of(config).absolute() == (Path(census.output) / census.name).absolute():
        raise UsageError(f"{file}: $.name: {config.name!r}: the census has this name too: give the survey another")
    return config


def home_of(config: SurveyConfig) -> Path:
    """Return the directory of a survey's runs."""
    return Path(config.output) / config.name


def last_run(config: SurveyConfig) -> tuple[Path, SurveyProgress] | None:
    """Return the newest run of a survey and its progress, None without any. Damaged runs are left out."""
    home = home_of(config)
    found = []
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        try:
            if (path / NAME).is_file():
                found.append((path, progress_of(path, 0)))
        except LivenessError:
            continue
    return max(found, key=lambda run: run[1].manifest.start_ns, default=None)


def can_go_on(run: tuple[Path, SurveyProgress]) -> bool:
    """Return whether a run ended early and was concluded nowhere, so that a session can continue it."""
    path, progress = run
    return progress.state in ("killed", "partial") and progress.manifest.origin is None and (path / "rounds").is_dir()


def plan_following(config: SurveyConfig, runs: Sequence[Path], *, lab: bool, origin: Path) -> Survey:
    """Return the survey of /24s drawn from runs of a census, and keep the state of the selection.

    The errors are those of a selection and of `plan_survey`.
    """
    state_file = home_of(config) / STATE_FILE
    counts = apportioned(config.survey.count, parse_mix(config.survey.mix))
    state = load_state(state_file)
    sources = read_sources(runs)
    number = f"survey.count in {origin}"
    blocks, following = select(sources.ever, sources.last, sources.availability, counts, state, config.seed, number)
    survey = plan_survey(config, lab=lab, origin=origin, blocks=blocks)
    if state is None:
        try:
            with Directory.make(home_of(config)) as home:
                home.write(STATE_FILE, encode_state(following))
        except OSError as problem:
            raise LivenessError(f"{state_file}: cannot write: {problem.strerror}") from problem
    return survey
