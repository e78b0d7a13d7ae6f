"""Settings of the Jacobian, and of every method that finds directions."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from workflow.region_schema import Region
from workflow.setting_types import Count, Name, Positive, Seed, Share, Strict


def _listed(value: Any) -> Any:
    """Slots in order, each once."""
    if value == "all":
        return value
    slots = value if isinstance(value, list | tuple) else ()
    if not slots or not all(isinstance(slot, int) and slot >= 0 for slot in slots):
        raise ValueError("expected all, or slots and resolutions such as [4, 32px, 64px+]")
    return sorted(set(slots))


Layers = Annotated[Literal["all"] | tuple[int, ...], BeforeValidator(_listed)]


class Jacobian(Strict):
    """How the Jacobian is taken."""

    resolution: Annotated[int, Field(ge=8, le=1024)]
    layers: Layers
    """Slots of W+; the ones that are edited."""
    splits: tuple[Annotated[int, Field(ge=1)], ...]
    """Slots, or resolutions such as 32px, before which the layers are cut into groups, each moved
    by an offset of its own; none: all layers are moved alike."""
    pixels: Literal["averaged", "published"]
    """RGB averaged over areas, or its mean at the nearest neighbours, as the authors take it."""
    tangents: Literal["fast", "exact"]
    """Fast: columns in bfloat16 where the processor multiplies it (AMX, AVX-512 BF16), then twice
    as fast and 1 % off. Exact: in the dtype of the generator."""
    regions: dict[Name, Region]
    """Regions whose Gram matrices are formed beside those of `region`, in the same sweep: what
    experiments that edit different ones share."""
    chunk: Count | None
    """Tangents at a time; null is two on a CPU, and on a GPU as many as half of its free memory
    holds, at most 64."""
    memory_gb: Positive
    """For the columns of J that are held, where it is computed: 0.41 is all 512 at 256 px, 6.5 at
    1024 px. Of a larger J, blocks are computed more than once."""
    save: bool
    """Keep J itself, 403 MB an image at 256 px."""

    @model_validator(mode="after")
    def _holds_columns(self) -> Self:
        least = 2 * 12 * self.resolution**2 / 1e9
        if self.memory_gb < least:
            raise ValueError(f"memory_gb: {self.memory_gb} holds no two columns; at least {least}")
        return self


class Factorization(Strict):
    """Rules that give a Gram matrix its rank; each list is unrolled."""

    lambdas: Annotated[
        tuple[Literal["scaled"] | Annotated[float, Field(gt=0, le=1)], ...], Field(alias="lambda")
    ]
    energy: tuple[Share, ...]
    rank: tuple[Count, ...]
    tolerance: Annotated[float, Field(gt=0, le=1e-2)]
    max_iterations: Count

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.lambdas or self.energy or self.rank):
            raise ValueError("expected a value of lambda, energy or rank")
        return self


class Method(Strict):
    """How directions are found; see `lowrankgan.subspace` unless another module is named."""

    layers: Layers | None = None
    """Slots that it moves; null takes those of `edit`."""
    jacobian: dict[Name, Any] = Field(default_factory=dict)
    """Settings in which its Jacobian differs from `jacobian`; its layers are those it moves."""
    images: Count | None = None
    """Number of analysis images whose Gram matrices it averages, the first ones; null is all."""


class Unprojected(Method):
    """Leading eigenvectors of the region's Gram matrix."""

    solver: Literal["unprojected"]


class Ruled(Method):
    """Confined to a null space of the rest, whose rank a rule gives."""

    solver: Literal["projected", "constrained"]
    rule: Literal["pursuit", "energy", "rank"]
    value: Positive | None = None
    """Of the rule; null sweeps the list that `factorization` has for it."""
    relaxation: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _of_the_rule(self) -> Self:
        if self.value is not None:
            if self.rule == "rank" and self.value % 1:
                raise ValueError(f"value: {self.value:g}, expected a whole number for a rank")
            if self.value > 1 and self.rule == "pursuit":
                raise ValueError(f"value: {self.value:g}, expected at most 1 for pursuit")
            if self.value >= 1 and self.rule == "energy":
                raise ValueError(f"value: {self.value:g}, expected less than 1 for energy")
        return self

    def rank_refusal(self, rank: int, d: int, directions: int) -> str | None:
        """Why so many directions do not exist at a rank of the rest, of J with d columns."""
        if rank >= d:
            return f", expected less than {d}"
        if self.relaxation > rank:
            return f", at least its relaxation {self.relaxation}"
        room = rank if self.solver == "projected" else d - rank + self.relaxation
        return f" leaves {room} directions; expected {directions}" if directions > room else None


class FurtherFaces(Strict):
    """Faces beside the analysis images, none of which is tested."""

    faces: Count
    first_seed: Seed

    @model_validator(mode="after")
    def _seeded(self) -> Self:
        if self.latents[-1] >= 2**32:
            raise ValueError("seeds of its faces reach 2**32")
        return self

    @property
    def latents(self) -> tuple[int, ...]:
        """Seeds of the faces."""
        return tuple(range(self.first_seed, self.first_seed + self.faces))

    def beside(self, analysed: Sequence[int]) -> tuple[int, ...]:
        """Seeds of those that are not analysed."""
        return tuple(seed for seed in self.latents if seed not in analysed)


class Prior(FurtherFaces):
    """How far Gram matrices are drawn towards `lowrankgan.style_gram`."""

    weight: Share
    """Of directions of one image."""
    weights: tuple[Share, ...] = Field(min_length=2)
    """Of several, among which each region has that at which its directions carry over best."""
    probes: Count
    """For each face."""
    seed: Seed
    """Of the probes."""

    def weights_of(self, images: int) -> list[float]:
        """What directions of some images choose from."""
        return list(self.weights) if images > 1 else [self.weight]


class Ranking(FurtherFaces):
    """Puts leading directions in the order of what they leak when edited into some faces.

    These are the analysis images, and further ones where they are fewer than `faces`: what leaks
    least on one may leak most elsewhere. Not of directions that a restriction has combined.
    """

    directions: Count
    """How many, the others stay behind them."""

    def seeds(self, analysed: Sequence[int]) -> tuple[int, ...]:
        """Of the faces, for directions of some analysis images."""
        return (*analysed, *self.beside(analysed))[: max(self.faces, len(analysed))]


class Restriction(FurtherFaces):
    """Combines leading directions of one image by what they do to further faces as well.

    By J along the leading directions alone: of 48, a thirtieth of its columns for each region.
    Their order is that of the quotient over all these faces, not that of a ranking on fewer.
    """

    faces: Annotated[int, Field(ge=2)]
    """One of them may be the image, which does not count twice."""
    candidates: Count
    """Leading directions of each region."""


class Rayleigh(Method):
    """The region's change over that of the rest, with a price on length."""

    solver: Literal["rayleigh"]
    ridge: Positive
    prior: Prior | None = None
    restricted: Restriction | None = None
    """Null leaves directions of one image to that image and the prior."""
    ranked: Ranking | None = None
    """Null leaves all directions in the order of the quotient."""

    def counts(self, alone: bool) -> dict[str, int]:
        """By setting, how many directions it asks for.

        Args:
            alone: whether it analyses single images.
        """
        found = {"ranked.directions": self.ranked.directions} if self.ranked else {}
        if alone and self.restricted:
            found["restricted.candidates"] = self.restricted.candidates
        return found


class Published(Method):
    """The authors' solver and projection, see `lowrankgan.published`."""

    solver: Literal["published"]
    lam: Annotated[float, Field(gt=0, le=1, alias="lambda")]


class Global(Method):
    """The most local of some directions that know no region, see `lowrankgan.global_directions`."""

    candidates: Count


class Factorized(Global):
    """Of the style weights, or of the mapping network's Jacobian."""

    solver: Literal["sefa", "local_basis"]


class GANSpace(Global):
    """Principal components of w."""

    solver: Literal["ganspace"]
    samples: Count
    seed: Seed


class Random(Global):
    """Drawn from the sphere."""

    solver: Literal["random"]
    seed: Seed


class Channels(Method):
    """Single channels of style space, see `lowrankgan.style_channels`."""

    solver: Literal["channels"]
    probes: Count
    seed: Seed
    least: Share


class FromFile(Method):
    """Directions that somebody found, see `lowrankgan.direction_files`."""

    solver: Literal["file"]
    files: Annotated[dict[Name, Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    """Region to a .npy or .safetensors file."""


Subspace = Annotated[
    Unprojected
    | Ruled
    | Rayleigh
    | Published
    | Factorized
    | GANSpace
    | Random
    | Channels
    | FromFile,
    Field(discriminator="solver"),
]
