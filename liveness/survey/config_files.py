"""Config of a survey in files: loading it, with the place of what is wrong, and the record that a manifest keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from liveness.config.layers import COMMAND_LINE, Layers
from liveness.config.model import decode_unit, encode_unit
from liveness.config.probe_names import names_of
from liveness.errors import UsageError
from liveness.files.documents import fault_in, parse_mapping, read_text, shaped, shown_value
from liveness.replies import CONTROL
from liveness.survey.config import SurveyConfig, survey_problems


def is_survey_file(path: Path) -> bool:
    """Return whether a config file is that of a survey: it has a section `survey`."""
    return "survey" in parse_mapping(read_text(path, "the config"), str(path), "name: census")


def load_survey_config(
    path: Path,
    *,
    following: bool = False,
    begins: bool = True,
    overrides: Mapping[str, object] | None = None,
    options: Mapping[str, str] | None = None,
) -> SurveyConfig:
    """Return the checked config of a file; names of files in it become absolute, relative ones start at its folder.

    The blocks of a survey that is `following` a census are drawn from that; others name a file, without which none
    `begins`. `overrides` maps dotted names to values that replace those of the file; None means not given. `options`
    are their names on the command line. UsageError names the file, the line, the path in it, the value and what was
    expected.
    """
    text = read_text(path, "the config")
    document = parse_mapping(text, str(path), "name: week48")
    layers = Layers(str(path))
    layers.add_file(document, path.parent, text)
    for name, value in (overrides or {}).items():
        if value is not None:
            layers.add_value(name, value, (options or {}).get(name, COMMAND_LINE))
    try:
        config = msgspec.convert(layers.tree, SurveyConfig, dec_hook=decode_unit)
    except msgspec.ValidationError as error:
        raise UsageError(layers.message(*fault_in(layers.tree, error, SurveyConfig))) from None
    for problem in survey_problems(config):
        raise UsageError(layers.message(problem.path, f"{shown_value(problem.value)}: {problem.expected}"))
    config = msgspec.structs.replace(config, probes=_expanded(config.probes))
    named = config.survey.blocks
    if following and named:
        expected = "the /24s are drawn from the census that this survey follows: leave it out"
        raise UsageError(layers.message("$.survey.blocks", f"{shown_value(named)}: {expected}"))
    if following and (config.shard.of > 1 or config.start_at is not None):
        path_of = "$.shard.of" if config.shard.of > 1 else "$.start_at"
        value = config.shard.of if config.shard.of > 1 else config.start_at
        expected = "the survey of a census has one machine and starts when the census is over: leave it out"
        raise UsageError(layers.message(path_of, f"{shown_value(value)}: {expected}"))
    if following or not (named or begins):
        return config
    if not named:
        missing = (
            "missing: a file, such as blocks.csv of `liveness survey select`; only surveys after a census have none"
        )
        raise UsageError(layers.message("$.survey.blocks", missing))
    blocks = str(path.parent.absolute() / Path(named).expanduser())
    return msgspec.structs.replace(config, survey=msgspec.structs.replace(config.survey, blocks=blocks))


def _expanded(probes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of probes written out, the control last, as kernels number them."""
    names = [one for name in probes if name != CONTROL for one in names_of(name)]
    return (*names, *((CONTROL,) if CONTROL in probes else ()))


def to_record(config: SurveyConfig) -> dict[str, Any]:
    """Return a config as a manifest keeps it: without `notify`, because a webhook's address may be a secret."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(config, enc_hook=encode_unit))
    del document["notify"]
    return document


def recorded_survey_config(document: object, manifest: Path) -> SurveyConfig:
    """Return the config that a manifest keeps, checked as that of a file. UsageError names what does not fit."""
    config = shaped(document, SurveyConfig, str(manifest), below="$.config", decode=decode_unit)
    for problem in survey_problems(config):
        where = problem.path.removeprefix("$")
        raise UsageError(f"{manifest}: $.config{where}: {shown_value(problem.value)}: {problem.expected}")
    return config
