"""What every reader of a checkpoint format returns, and every generator is built from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a generator in the project's own layout, whatever file they came from.

    Attributes:
        architecture: a key of `lowrankgan.generators.ARCHITECTURES`.
        settings: plain JSON values that shapes do not tell, keyword arguments of the generator.
        state: float32 tensors on the CPU by the generator's own names.
        format: name of the file format, for people.
        assumed: what the file does not tell and was assumed, one sentence each, for people.
    """

    architecture: str
    settings: Mapping[str, Any]
    state: Mapping[str, Tensor]
    format: str
    assumed: tuple[str, ...] = field(default=())
