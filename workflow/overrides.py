"""What a user passes with `snakemake --config`, as overrides in Hydra's syntax."""

import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from lowrankgan.errors import LowRankGANError

# What neither Snakemake, which strips quotes and parses YAML, nor a cluster's shell makes anything
# of: all else travels as %27 and the like.
_SAFE = " =[],.+~/_-"


def encoded(arguments: str) -> str:
    """ARGS as a value for `--config set=`, `overrides_of` decodes it."""
    return quote(arguments, safe=_SAFE)


def overrides_of(config: Mapping[str, Any]) -> list[str]:
    """`experiment=NAME` and `set="KEY=VALUE ..."` as a list of overrides.

    In `set`, %27 stands for a single quote, and so on; %25 for a per cent sign.

    Raises:
        LowRankGANError: another key is given, or quotes in `set` do not close.
    """
    unknown = sorted(config.keys() - {"experiment", "set", "together", "training"})
    if unknown:
        raise LowRankGANError(
            f'--config {unknown[0]}: expected experiment=NAME or set="KEY=VALUE ..."'
        )
    overrides = _unquoted(config, "set")
    if "experiment" in config:
        overrides.insert(0, f"experiment={config['experiment']}")
    return overrides


def together_of(config: Mapping[str, Any]) -> list[list[str]]:
    """`together=NAME,NAME` as a list of overrides for each of these experiments.

    Raises:
        LowRankGANError: as `overrides_of`.
    """
    names = str(config.get("together") or "").split(",")
    return [overrides_of({**config, "experiment": name}) for name in names if name]


def training_overrides_of(config: Mapping[str, Any]) -> list[str]:
    """`training="KEY=VALUE ..."` as a list of overrides.

    Raises:
        LowRankGANError: quotes do not close.
    """
    return _unquoted(config, "training")


def split(text: str, name: str) -> list[str]:
    """Words of a text as a shell splits it.

    Raises:
        LowRankGANError: quotes do not close; `name` says what the text is.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise LowRankGANError(f"{name}: {error}") from error


def _unquoted(config: Mapping[str, Any], key: str) -> list[str]:
    text = str(config.get(key) or "")  # an empty value comes as None
    return split(unquote(text), f"--config {key}")
