"""Every setting with its type and range; a configuration that does not fit is refused by key."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from lowrankgan.layer_groups import split
from workflow.generator_schema import Generator, LocalFile, Package
from workflow.layer_resolutions import with_slots
from workflow.method_schema import (
    Channels,
    Factorization,
    FromFile,
    FurtherFaces,
    Global,
    Jacobian,
    Layers,
    Method,
    Rayleigh,
    Ruled,
    Subspace,
)
from workflow.refusal import problem_of
from workflow.region_schema import Region
from workflow.setting_types import Count, Name, Positive, Seed, Share, Strict


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
    def _seeded(self) -> Self:
        if (last := self.first_test_seed + self.test_faces - 1) >= 2**32:
            raise ValueError(f"test_faces: the last seed would be {last}, expected below 2**32")
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
    resolution: Annotated[int, Field(ge=32)]
    """Side at which change is measured; images are area-averaged to it. LPIPS needs 32 px."""
    directions: Count
    targets: Annotated[dict[Measure, Strengths], Field(min_length=1)]
    """Change inside the region at which methods are compared, by one measure or more, each at one
    strength or more. The first one is what figures show."""
    tolerance: Share
    """Relative error of the change that counts as reached."""
    max_step: Positive
    """Largest step that is tried."""
    published_steps: tuple[Annotated[float, Field(allow_inf_nan=False)], ...]
    """Steps that are measured beside the matched ones, whatever they change."""
    published_faces: Count
    """Number of test faces, counted from the first, on which those steps are measured."""
    transfer_methods: tuple[Name, ...]
    """Methods that are also tested with the directions of each single analysis image."""
    transfer_images: Annotated[int, Field(ge=2)] | None
    """At most so many of these, the first ones; null is all."""

    @property
    def named_targets(self) -> list[Target]:
        """`mse`, or `mse 0.01` where there are several strengths of it."""
        found = []
        for measure, values in self.targets.items():
            for value in values:
                name = measure if len(values) == 1 else f"{measure} {value:g}"
                found.append(Target(name, measure, value))
        return found

    @field_validator("published_steps")
    @classmethod
    def _somewhere(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if value and not any(value):
            raise ValueError("expected a step that is not 0, or [] for none")
        return value

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        names = [target.name for target in self.named_targets]
        if twice := sorted(name for name in names if names.count(name) > 1):
            raise ValueError(f"targets: {twice[0]!r} comes twice; expected strengths that differ")
        if max(self.targets.get("mse", (0.0,))) >= 1:
            raise ValueError("targets.mse: expected less than 1, for images are in [0, 1]")
        return self


class Metric(Strict):
    """What edited faces are measured with."""

    perceptual: Package
    landmarks: Package
    attributes: Literal["landmarks", "garments"]
    """What is scored on each edited image: facial attributes, or what a classifier of garments
    and simple measures of the region say."""
    classifier: LocalFile | None
    """Weights of the classifier, as `make train` writes them."""
    identity: Package | None
    """Weights of a face recognition network: measure how far an edit leads from the person."""
    vgg: bool
    """Measure LPIPS by VGG too, of the methods that are compared and where that by AlexNet is
    matched; not again of directions of single images, for it costs more than the rendering."""
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
        if self.attributes == "garments" and self.identity is not None:
            raise ValueError("identity: garments have none; expected null")
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
    """In units of the step that reaches the first target; 0 is the original."""
    colour_map: Literal["magma", "inferno", "plasma", "viridis", "cividis", "gray"]
    method: Name
    """Method whose edits the strips show."""

    @field_validator("strip_steps")
    @classmethod
    def _with_original(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if 0 not in value:
            raise ValueError("expected 0 among them, for the original")
        return value


class Configuration(Strict):
    """The whole of an experiment."""

    name: Name
    generator: Generator
    sample: Sample
    region: Annotated[dict[Name, Region], Field(min_length=1)]
    edit: Edit
    jacobian: Jacobian
    factorization: Factorization
    subspace: Annotated[dict[Name, Subspace], Field(min_length=1)]
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

    @model_validator(mode="before")
    @classmethod
    def _in_slots(cls, values: Any) -> Any:
        return with_slots(values)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        limit, layers = self.generator.w_dim, self.generator.num_layers
        for value in self.factorization.rank:
            if limit is not None and value >= limit:
                raise ValueError(f"factorization.rank: {value}, expected less than w_dim {limit}")
        cutoff = self.sample.cutoff
        if layers is not None and cutoff is not None and cutoff > layers:
            raise ValueError(f"sample.cutoff: {cutoff}, {self.generator.name} has {layers} layers")
        if self.metric.attributes == "garments" and self.sample.label is None:
            raise ValueError("metric.attributes: garments needs sample.label, the class to score")
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
        self._check_roles()
        return self

    def _check_roles(self) -> None:
        """Of the methods that others are compared with and that pictures show."""
        roles = {"metric.baseline": self.metric.baseline, "figure.method": self.figure.method}
        for key, name in roles.items():
            method = self.subspace[name]
            if isinstance(method, FromFile) and (lacks := set(self.region) - set(method.files)):
                raise ValueError(f"{key}: {name!r} has no file for the region {min(lacks)!r}")
        baseline = self.subspace[self.metric.baseline]
        if isinstance(baseline, Ruled) and len(self.values_of(baseline)) > 1:
            raise ValueError(
                f"metric.baseline: {self.metric.baseline!r} has several values of its rule; set "
                f"subspace.{self.metric.baseline}.value, or compare with another method"
            )

    def _check_method(self, name: str, method: Method) -> None:
        key = f"subspace.{name}"
        if isinstance(method, Ruled) and not self.values_of(method):
            raise ValueError(f"{key}.rule: factorization has no value for {method.rule}")
        if isinstance(method, Channels | FromFile) and method.jacobian:
            raise ValueError(f"{key}.jacobian: this method uses no Jacobian; leave it out")
        if "regions" in method.jacobian:
            raise ValueError(f"{key}.jacobian.regions: are of all methods, see jacobian.regions")
        if isinstance(method, FromFile) and method.images:
            raise ValueError(f"{key}.images: this method uses no analysis images; leave it out")
        if isinstance(method, FromFile) and not set(method.files) <= set(self.region):
            unknown = sorted(set(method.files) - set(self.region))[0]
            raise ValueError(f"{key}.files: {unknown!r} is not among region={sorted(self.region)}")
        if isinstance(method, Rayleigh):
            for part in ("prior", "restricted", "ranked"):
                further: FurtherFaces | None = getattr(method, part)
                seeds = set(further.latents) if further else set()
                if shared := sorted(seeds & set(self.sample.test_seeds)):
                    raise ValueError(
                        f"{key}.{part}: test faces must be unseen (first shared: {shared[0]})"
                    )
            restricted = method.restricted
            if restricted and restricted.candidates < self.edit.directions:
                told = f"{key}.restricted.candidates: {restricted.candidates}"
                raise ValueError(f"{told}, at least edit.directions")
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
        images = method.images or len(self.sample.analysis_seeds)
        self._check_sizes(key, method, own, images == 1 or name in self.edit.transfer_methods)
        if isinstance(method, Global) and own.splits:
            raise ValueError(
                f"{key}.jacobian.splits: {list(own.splits)}, but its candidates move all layers "
                "alike; expected []"
            )

    def _check_sizes(self, key: str, method: Method, own: Jacobian, alone: bool) -> None:
        """Numbers of directions against the number d of columns of J, where that is known."""
        groups, edited = (self._groups(at, own) for at in (own.layers, self.layers_of(method)))
        if isinstance(method, Channels | FromFile) or not groups or not edited:
            return
        if groups != edited:
            where = f"{key}.jacobian.splits" if "splits" in method.jacobian else "jacobian.splits"
            raise ValueError(
                f"{where}: cuts the layers of J into {groups} groups, and those that {key} moves "
                f"into {edited}; expected as many"
            )
        if self.generator.w_dim is None:
            return
        d = groups * self.generator.w_dim
        if isinstance(method, Ruled) and method.rule == "rank":
            for rank in map(int, self.values_of(method)):
                if problem := method.rank_refusal(rank, d, self.edit.directions):
                    raise ValueError(f"{key}: rank {rank}{problem}")
        if isinstance(method, Rayleigh):
            for part, count in method.counts(alone).items():
                if count > d:
                    raise ValueError(f"{key}.{part}: {count}, at most {d} exist")

    def _groups(self, layers: Layers, jacobian: Jacobian) -> int | None:
        """Number of groups that its splits cut layers into; None where that is not known."""
        if not jacobian.splits:
            return 1
        if layers == "all":
            if self.generator.num_layers is None:
                return None
            layers = tuple(range(self.generator.num_layers))
        return len(split(layers, jacobian.splits))

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

    @property
    def analysis_resolutions(self) -> set[int]:
        """Of the Jacobian, and of those of methods with settings of their own."""
        own = map(self.jacobian_of, self.subspace.values())
        return {jacobian.resolution for jacobian in (self.jacobian, *own)}

    def values(self, rule: str) -> tuple[float | str, ...]:
        """The list of the factorization that a rule sweeps."""
        lists = {"pursuit": self.factorization.lambdas, "energy": self.factorization.energy}
        return lists.get(rule, self.factorization.rank)
