"""What a user passes with `snakemake --config`, as overrides in Hydra's syntax."""

import shlex
from collections.abc import Mapping
from typing import Any

from lowrankgan.errors import LowRankGANError


def overrides_of(config: Mapping[str, Any]) -> list[str]:
    """`experiment=NAME` and `set="KEY=VALUE ..."` as a list of overrides.

    Raises:
        LowRankGANError: another key is given, or quotes in `set` do not close.
    """
    unknown = sorted(config.keys() - {"experiment", "set", "training"})
    if unknown:
        raise LowRankGANError(
            f'--config {unknown[0]}: expected experiment=NAME or set="KEY=VALUE ..."'
        )
    overrides = _split(config, "set")
    if "experiment" in config:
        overrides.insert(0, f"experiment={config['experiment']}")
    return overrides


def training_overrides_of(config: Mapping[str, Any]) -> list[str]:
    """`training="KEY=VALUE ..."` as a list of overrides.

    Raises:
        LowRankGANError: quotes do not close.
    """
    return _split(config, "training")


def _split(config: Mapping[str, Any], key: str) -> list[str]:
    try:
        return shlex.split(str(config.get(key) or ""))  # an empty value comes as None
    except ValueError as error:
        raise LowRankGANError(f"--config {key}: {error}") from error
