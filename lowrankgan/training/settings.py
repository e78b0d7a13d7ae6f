"""What a training run is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Settings:
    """Sizes, schedule and seed; every number of a run but its data.

    Attributes:
        chunk: size of the part of z that each layer takes; z has one for every layer.
        embedding: size of the class embedding.
        channels: channels of the generator from 4 x 4 up, each next at twice the resolution.
        discriminator: channels of the discriminator's blocks, from the full resolution down.
        batch: images of a step.
        steps: steps in all, each one of the discriminator and one of the generator.
        generator_rate: learning rate of the generator.
        discriminator_rate: learning rate of the discriminator.
        ema: decay of the average of the generator's weights.
        translation: largest shift of the augmentation, in fractions of the side.
        cutout: side of the square that the augmentation blanks, likewise.
        report_every: steps between two sample grids, each with a checkpoint.
        seed: of everything that is drawn.
    """

    chunk: int
    embedding: int
    channels: tuple[int, ...]
    discriminator: tuple[int, ...]
    batch: int
    steps: int
    generator_rate: float
    discriminator_rate: float
    ema: float
    translation: float
    cutout: float
    report_every: int
    seed: int

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Settings from plain JSON values, whose lists are tuples here."""
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**plain)

    @property
    def z_dim(self) -> int:
        return self.chunk * len(self.channels)

    @property
    def resolution(self) -> int:
        return 4 << (len(self.channels) - 1)
