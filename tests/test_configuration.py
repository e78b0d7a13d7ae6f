import shlex

import pytest

from lowrankgan.errors import LowRankGANError
from workflow.configuration import CONF, load_configuration
from workflow.overrides import encoded, overrides_of
from workflow.plan import unroll

EXPERIMENTS, GENERATORS = (
    sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    for group in ("experiment", "generator")
)

_OURS_ON_100_COMPONENTS = [
    "experiment=dcgan_small",
    "subspace=[ours,unprojected,projected,constrained]",
    "edit.transfer_methods=[]",
    "subspace.ours.restricted.candidates=128",
]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_can_be_unrolled(name: str) -> None:
    configuration = load_configuration([f"experiment={name}"])
    assert configuration.name == name
    stages = {stage for stage, _ in unroll(configuration).steps}
    assert {"convert", "sample", "jacobian", "subspace", "metrics", "tables"} <= stages


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_can_be_unrolled(name: str) -> None:
    configuration = load_configuration([f"generator={name}", "region=[left_half]"])
    (step,) = (s for s in unroll(configuration).steps.values() if s.stage == "convert")
    assert step.settings["resolution"] == configuration.generator.resolution


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name.startswith("paper_")])
def test_the_papers_experiments_take_the_papers_generator(name: str) -> None:
    configuration = load_configuration([f"experiment={name}", "generator=stylegan2_ffhq"])
    assert configuration.edit.layers == tuple(range(3, 18))  # 16 px and above
    ours = configuration.subspace.get("ours")
    assert ours is None or ours.jacobian["splits"] == [5, 7]  # from 32 and from 64 px on


def test_layers_are_named_by_their_resolution() -> None:
    def layers(value: str) -> object:
        return load_configuration([f"edit.layers={value}"]).edit.layers

    assert layers("[32px]") == (7, 8, 9)
    assert layers("[0,16px,300px+]") == (0, 4, 5, 6, 19, 20, 21, 22)
    assert layers("all") == "all"
    assert layers("[64px,16px+,16px]") == tuple(range(4, 23))
    with pytest.raises(LowRankGANError, match=r"edit\.layers: 33px, the generator's layers are at"):
        layers("[33px]")
    own = "+subspace.constrained.jacobian={splits: [32px, 64px]}"
    method = load_configuration(["experiment=dcgan_small", own]).subspace["constrained"]
    assert method.jacobian["splits"] == []  # a generator of one layer has nothing to divide
    unknown = ["edit.layers=[32px]", "~generator.layer_resolutions"]
    with pytest.raises(LowRankGANError, match=r"edit\.layers: 32px needs generator\.layer_res"):
        load_configuration(unknown)


def test_classes_and_cutoff_are_set_without_further_signs() -> None:
    sample = load_configuration(["sample.label=3", "sample.cutoff=2"]).sample
    assert (sample.label, sample.cutoff, sample.other_labels) == (3, 2, ())


def test_the_default_is_the_quick_experiment() -> None:
    configuration = load_configuration([])
    assert configuration.name == "ffhq_quick"
    assert list(configuration.region) == ["eyes", "mouth", "nose"]
    assert len(configuration.sample.analysis_seeds) == 2
    assert configuration.sample.test_faces == 12
    assert configuration.jacobian.layers == configuration.edit.layers


def test_the_jacobian_moves_the_layers_that_are_edited() -> None:
    configuration = load_configuration(["edit.layers=[4,5,6]"])
    assert configuration.jacobian.layers == (4, 5, 6)


def test_groups_and_lists_are_chosen_by_overrides() -> None:
    overrides = ["experiment=ffhq", "region=[eyes,mouth]", "factorization.lambda=[0.01,0.0167]"]
    configuration = load_configuration(overrides)
    assert list(configuration.region) == ["eyes", "mouth"]
    assert configuration.factorization.lambdas == (0.01, 0.0167)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sample.psy=1", r"sample\.psy"),
        ("region=[lips]", r"region/lips"),
        ("generator=stylegan9", r"generator/stylegan9"),
        ("region=[]", r"region: "),
        ("sample.psi=5", r"sample\.psi: 5, .*less than or equal to 2"),
        ("sample.psi=nan", r"sample\.psi: nan"),
        ("sample.psi=wide", r"sample\.psi: 'wide', .*valid number"),
        ("sample.analysis_seeds=[]", r"sample\.analysis_seeds"),
        ("sample.analysis_seeds=[1003]", r"sample: .*unseen"),
        ("sample.analysis_seeds=[1,1]", r"sample: analysis_seeds: seeds must differ"),
        ("region.eyes.row=2", r"region\.eyes.*leave the image"),
        ("region.eyes.kind=circle", r"region\.eyes"),
        ("+region.eyes.colour=red", r"region\.eyes.*colour"),
        ("factorization.rank=[512]", r"factorization\.rank: 512, expected less than w_dim 512"),
        ("factorization.energy=[1.5]", r"factorization\.energy\.0: 1\.5"),
        ("factorization.lambda=[0]", r"factorization\.lambda"),
        ("factorization.lambda=[]", r"factorization has no value for pursuit"),
        ("figure.strip_steps=[1,2]", r"figure\.strip_steps: expected 0 among them"),
        ("figure.colour_map=virdis", r"figure\.colour_map: 'virdis', input should be 'magma'"),
        ("edit.layers=some", r"edit\.layers: 'some', expected all, or slots and resolutions"),
        ("edit.layers=[17pxx]", r"edit\.layers: expected all, or slots and resolutions"),
        ("+subspace.own={solver: constrained, rule: rank, value: 512}", r"own: rank 512.*than 512"),
        ("+subspace.constrained.value=600", r"constrained: value: 600, expected less than 1 for"),
        (
            "+subspace.own={solver: constrained, rule: rank, value: 1.5}",
            r"own\.constrained: value: 1\.5, expected a whole number",
        ),
        (
            "+subspace.own={solver: file, files: {eyes: a.npy}, jacobian: {chunk: 1}}",
            r"subspace\.own\.jacobian: this method uses no Jacobian",
        ),
        ("edit.layers=[23]", r"layers: 23, mobilestylegan_ffhq has 0 to 22"),
        ("edit.directions=600", r"edit\.directions: 600, at most w_dim 512"),
        ("edit.targets.mse=-1", r"edit\.targets\.mse\.0: -1"),
        ("edit.targets.mse=[0.01,0]", r"edit\.targets\.mse\.1: 0, .*greater than 0"),
        ("subspace.projected.rule=null", r"subspace\.projected\.rule: None"),
        ("subspace.projected.solver=best", r"subspace\.projected: .*'best'"),
        ("+subspace.projected.layers=[30]", r"subspace\.projected\.layers: 30, .* has 0 to 22"),
        ("+subspace.projected.images=3", r"images: 3, sample\.analysis_seeds has 2"),
        (
            "+subspace.projected.jacobian={chunk: 0}",
            r"projected\.jacobian\.chunk: 0, .* or equal to 1",
        ),
        (
            "+subspace.projected.jacobian={splits: [0]}",
            r"projected\.jacobian\.splits\.0: 0, .*equal to 1",
        ),
        (
            "+subspace.own={solver: sefa, candidates: 5, jacobian: {splits: [4]}}",
            r"subspace\.own\.jacobian\.splits: \[4\], but its candidates",
        ),
        ("+subspace.own={solver: file, files: {lips: a.npy}}", r"'lips' is not among region="),
        ("+subspace.own={solver: sefa, candidates: 0}", r"subspace\.own\.candidates: 0"),
        (
            "+subspace.projected.jacobian={memory_gb: 1e-9}",
            r"projected\.jacobian\.memory_gb: 1e-09 holds no two columns",
        ),
        (
            "+subspace.own={solver: rayleigh, ridge: 1, "
            "prior: {weight: 0.5, weights: [0.3, 0.5], faces: 9, first_seed: 995, probes: 1, "
            "seed: 0}}",
            r"subspace\.own\.prior: test faces must be unseen \(first shared: 1000\)",
        ),
        (
            "+subspace.own={solver: rayleigh, ridge: 1, "
            "ranked: {directions: 2, faces: 3, first_seed: 1000}}",
            r"subspace\.own\.ranked: test faces must be unseen \(first shared: 1000\)",
        ),
        (
            "+subspace.own={solver: rayleigh, ridge: 1, "
            "restricted: {candidates: 9, faces: 3, first_seed: 1000}}",
            r"subspace\.own\.restricted: test faces must be unseen \(first shared: 1000\)",
        ),
        (
            "+subspace.own={solver: rayleigh, ridge: 1, "
            "restricted: {candidates: 9, faces: 1, first_seed: 100}}",
            r"subspace\.own\.restricted\.faces: 1",
        ),
        ("edit.targets.lpips=[0.05,0.05]", r"edit: targets: 'lpips 0\.05' comes twice"),
        ("edit.targets.mse=[0.01,1]", r"edit: targets\.mse: expected less than 1"),
        ("edit.resolution=16", r"edit\.resolution: 16, .* or equal to 32"),
        ("edit.published_steps=[0]", r"edit\.published_steps: expected a step that is not 0"),
        ("edit.published_steps=[1,inf]", r"edit\.published_steps\.1: inf"),
        ("sample.first_test_seed=4294967290", r"sample: .* last seed would be 4294967301"),
        (
            "+subspace.own={solver: rayleigh, ridge: 1, "
            "ranked: {directions: 2, faces: 3, first_seed: 4294967295}}",
            r"subspace\.own\.ranked: seeds of its faces reach 2\*\*32",
        ),
        ("sample.cutoff=24", r"sample\.cutoff: 24, mobilestylegan_ffhq has 23 layers"),
        (
            "+subspace.own={solver: constrained, rule: rank, value: 600, layers: [7,8,9], "
            "jacobian: {splits: [7,10]}}",
            r"subspace\.own: rank 600, expected less than 512",  # of the one group that is left
        ),
        (
            "+subspace.own={solver: constrained, rule: rank, value: 5, relaxation: 6}",
            r"subspace\.own: rank 5, at least its relaxation 6",
        ),
        (
            "+subspace.own={solver: unprojected, layers: [7,8,9], "
            "jacobian: {layers: [8,9], splits: [8]}}",
            r"own\.jacobian\.splits: cuts the layers of J into 1 groups, and .*own moves into 2",
        ),
        (
            "+subspace.own={solver: unprojected, jacobian: {regions: {}}}",
            r"subspace\.own\.jacobian\.regions: are of all methods",
        ),
        (
            "+subspace.own={solver: file, files: {eyes: a.npy}, images: 1}",
            r"subspace\.own\.images: this method uses no analysis images",
        ),
        ("metric.baseline=best", r"method 'best' is not among"),
        ("figure.method=best", r"method 'best' is not among"),
        ("name=../outside", r"name: '\.\./outside'"),
        ("metric.perceptual.sha256=abc", r"metric\.perceptual\.sha256: 'abc'"),
        ("jacobian.chunk=0", r"jacobian\.chunk: 0"),
        ("edit.transfer_images=1", r"edit\.transfer_images: 1"),
        ("a b", r"a b"),
    ],
)
def test_a_bad_configuration_is_refused_in_one_line(override: str, message: str) -> None:
    with pytest.raises(LowRankGANError, match=message) as caught:
        load_configuration([override])
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("configuration: ")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["metric.baseline=constrained", "factorization.energy=[0.9,0.95]"],
            r"metric\.baseline: 'constrained' has several values of its rule",
        ),
        *(
            (
                ["+subspace.own={solver: file, files: {eyes: a.npy}}", f"{role}=own"],
                rf"{role}: 'own' has no file for the region 'mouth'",
            )
            for role in ("figure.method", "metric.baseline")
        ),
        (
            [f"factorization.{rule}=[]" for rule in ("lambda", "energy", "rank")],
            r"factorization: expected a value of lambda, energy or rank",
        ),
        (
            ["+subspace.own={solver: projected, rule: rank, value: 5}", "edit.directions=6"],
            r"own: rank 5 leaves 5 directions; expected 6",
        ),
        (
            ["+subspace.own={solver: constrained, rule: rank, value: 511}", "edit.directions=2"],
            r"own: rank 511 leaves 1 directions; expected 2",
        ),
        (
            ["metric.attributes=garments", "metric.classifier={path: x}"],
            r"metric\.attributes: garments needs sample\.label",
        ),
        (
            ["jacobian.layers=[8,9]", "jacobian.splits=[8]", "edit.layers=[7,8,9]"],
            r"configuration: jacobian\.splits: cuts .* 1 groups, .* subspace\.\w+ moves",
        ),
        (
            [*_OURS_ON_100_COMPONENTS, "sample.analysis_seeds=[0]"],
            r"subspace\.ours\.restricted\.candidates: 128, at most 100 exist",
        ),
        (
            [*_OURS_ON_100_COMPONENTS, "subspace.ours.ranked.directions=101"],
            r"subspace\.ours\.ranked\.directions: 101, at most 100 exist",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(LowRankGANError, match=message):
        load_configuration(overrides)


def test_candidates_that_nothing_combines_may_be_more_than_there_are() -> None:
    subspace = load_configuration(_OURS_ON_100_COMPONENTS).subspace["ours"]
    assert subspace.model_dump()["restricted"]["candidates"] == 128


def test_groups_are_compared_where_they_are_known_and_used() -> None:
    load_configuration(
        [
            "~generator.layer_resolutions",
            "jacobian.layers=all",
            "jacobian.splits=[4]",
            "edit.layers=[0,1,2,3,4,5,6,7]",
        ]
    )
    split = ["jacobian.layers=all", "jacobian.splits=[8]", "edit.layers=[10,11]"]
    own = [f"+subspace.{name}.layers=all" for name in ("unprojected", "projected", "constrained")]
    channels = "+subspace.own={solver: channels, probes: 1, seed: 0, least: 0.1}"
    load_configuration([*split, *own, channels])


def test_fewer_candidates_than_directions_are_refused() -> None:
    restricted = "{candidates: 1, faces: 3, first_seed: 100}"
    own = f"+subspace.own={{solver: rayleigh, ridge: 1, restricted: {restricted}}}"
    load_configuration([own])
    told = r"subspace\.own\.restricted\.candidates: 1, at least edit\.directions"
    with pytest.raises(LowRankGANError, match=told):
        load_configuration([own, "edit.directions=2"])


def test_garments_have_no_identity() -> None:
    with pytest.raises(LowRankGANError, match="metric: identity: garments have none"):
        load_configuration(["experiment=biggan_fashion", "metric=identity"])


def test_overrides_come_through_snakemake() -> None:
    config = {"experiment": "ffhq", "set": "region=[eyes] sample.psi=0.5"}
    assert overrides_of(config) == ["experiment=ffhq", "region=[eyes]", "sample.psi=0.5"]
    hostile = """sample.psi=0.5 '+a={b: "$(touch x)"}' 50% # `id` ; ü"""
    assert not set(encoded(hostile)) & set("'\"$`#;:{}()&|<>*?!\\\n")
    assert overrides_of({"set": encoded(hostile)}) == shlex.split(hostile)
    assert overrides_of({}) == []
    assert overrides_of({"set": None}) == []  # what Snakemake makes of `set=`
    with pytest.raises(LowRankGANError, match="--config lambda: expected"):
        overrides_of({"lambda": 1})
    with pytest.raises(LowRankGANError, match="--config set: No closing quotation"):
        overrides_of({"set": "a='b"})
