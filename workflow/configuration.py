"""Composes an experiment's configuration with Hydra and checks it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from lowrankgan.errors import LowRankGANError
from workflow.refusal import problem_of
from workflow.schema import Configuration
from workflow.setting_types import Strict
from workflow.train_schema import Training

CONF = Path(__file__).resolve().parent.parent / "conf"


Settings = TypeVar("Settings", bound=Strict)


def load_configuration(overrides: Sequence[str], folder: Path = CONF) -> Configuration:
    """Compose `conf/config.yaml` with overrides in Hydra's syntax.

    Raises:
        LowRankGANError: an override cannot be parsed, or a key or value does not fit the schema.
    """
    return _load("config", Configuration, overrides, folder)


def load_training(overrides: Sequence[str], folder: Path = CONF) -> Training:
    """Compose `conf/train.yaml` likewise."""
    return _load("train", Training, overrides, folder)


def _load(name: str, schema: type[Settings], overrides: Sequence[str], folder: Path) -> Settings:
    try:
        OverridesParser.create().parse_overrides(list(overrides))
        with initialize_config_dir(config_dir=str(folder), version_base="1.3"):
            composed = compose(name, overrides=list(overrides))
        values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise LowRankGANError(f"configuration: {_first_lines(error)}") from error
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise LowRankGANError(f"configuration: {problem_of(error, values)}") from error


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:2])
