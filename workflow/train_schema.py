"""Every setting of a training with its type and range."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, model_validator

from workflow.setting_types import Count, Fraction, Name, Positive, Seed, Share, Strict

Rate = Annotated[float, Field(gt=0, le=1)]
Widths = Annotated[tuple[Count, ...], Field(min_length=2, max_length=8)]


class IdxFiles(Strict):
    """Gzipped IDX files from a Debian package, or from where they were published."""

    kind: Literal["idx"]
    package: Name
    folder: str
    """Folder of the files in the package."""
    url: Annotated[str, Field(pattern=r"^https://[^\s]+$")]
    """Address of their folder."""
    training: tuple[Name, Name]
    """Images and labels, without .gz."""
    held_out: tuple[Name, Name]
    sha256: dict[Name, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    """Of each file, unpacked."""

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        missing = {*self.training, *self.held_out} - self.sha256.keys()
        if missing:
            raise ValueError(f"sha256 has no {min(missing)}")
        return self


class PictureFolder(Strict):
    """Pictures on this machine, one folder a class."""

    kind: Literal["folder"]
    path: Annotated[str, Field(min_length=1)]
    held_out_every: Annotated[int, Field(ge=2)]
    """One in so many pictures of a class is kept from training."""


class Network(Strict):
    """See `lowrankgan.training.settings.Settings`."""

    chunk: Count
    embedding: Count
    channels: Widths
    discriminator: Widths

    @model_validator(mode="after")
    def _shallow_enough(self) -> Self:
        most = len(self.channels) + 2  # blocks that halve 4 * 2 ** (len(channels) - 1) px, and one
        if len(self.discriminator) > most:
            raise ValueError(
                f"discriminator: {len(self.discriminator)} blocks, at most {most} for the "
                f"resolution that {len(self.channels)} channels give"
            )
        return self


class Schedule(Strict):
    """See `lowrankgan.training.settings.Settings`."""

    batch: Annotated[int, Field(ge=2)]
    steps: Count
    generator_rate: Rate
    discriminator_rate: Rate
    ema: Share
    translation: Fraction
    cutout: Fraction
    report_every: Count
    seed: Seed


class Judge(Strict):
    """How the classifier is trained that samples are judged by."""

    steps: Count
    batch: Count
    rate: Positive
    seed: Seed


class Training(Strict):
    """The whole of a training."""

    name: Name
    description: str
    """Of the data, with their licence, for the model card."""
    limits: str
    """What people saw that samples lack, for the model card."""
    data: Annotated[IdxFiles | PictureFolder, Discriminator("kind")]
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    """Names of the classes in the order of their labels."""
    network: Network
    schedule: Schedule
    classifier: Judge
    assessed: Annotated[int, Field(ge=100)]
    """Number of samples that the model card's numbers are from."""
