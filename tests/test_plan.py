import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowrankgan.errors import LowRankGANError
from tests.conftest import ROOT
from workflow.code import code_of
from workflow.configuration import load_configuration
from workflow.plan import Plan, unroll
from workflow.urgency import urgencies


def _plan(*overrides: str) -> Plan:
    return unroll(load_configuration(overrides))


def _changed(overrides: Sequence[str], more: Sequence[str]) -> set[str]:
    """Stages that have steps which the plan without the further overrides lacks."""
    before, after = _plan(*overrides), _plan(*overrides, *more)
    return {stage for stage, key in after.steps.keys() - before.steps.keys()}


_MEASURED = {"metrics", "generalize", "tables", "plot", "picture"}
_OURS = ("metric.baseline=ours", "figure.method=ours", "edit.transfer_methods=[]")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("figure.colour_map=viridis", {"plot", "picture"}),
        ("metric.resamples=500", {"tables", "plot"}),
        ("edit.tolerance=0.05", _MEASURED),
        (
            "factorization.lambda=[0.01]",
            {"factorize", "subspace"} | _MEASURED - {"generalize"},
        ),
        ("factorization.rank=[50]", {"factorize", "tables", "plot"}),
        ("sample.test_faces=11", {"sample"} | _MEASURED),
        ("jacobian.resolution=128", {"jacobian", "factorize", "subspace"} | _MEASURED),
    ],
)
def test_a_setting_changes_what_reads_it_and_what_follows(
    override: str, expected: set[str]
) -> None:
    assert _changed([], [override]) == expected


def test_a_changed_lambda_leaves_the_other_methods_alone() -> None:
    before, after = _plan(), _plan("factorization.lambda=[0.01]")
    solvers = [
        step.settings["solver"]
        for key, step in after.steps.items()
        if key not in before.steps and step.stage == "subspace"
    ]
    assert solvers == ["projected"]


def test_experiments_share_their_common_stages() -> None:
    quick = _plan().steps
    larger = _plan("sample.analysis_seeds=[0,1,2]").steps
    stages = sorted(stage for stage, _ in quick.keys() & larger.keys())
    assert stages.count("jacobian") == 2
    assert stages.count("sample") == 3
    assert {"factorize", "subspace", "metrics"} <= set(stages)


def test_lists_are_unrolled() -> None:
    plan = _plan("factorization.lambda=[0.01,0.02]", "factorization.energy=[0.9,0.95,0.97]")
    methods = {
        (s.settings["solver"], s.parents["factorize"][0].settings["value"])
        for s in plan.steps.values()
        if s.stage == "subspace" and "factorize" in s.parents
    }
    expected = {("projected", v) for v in (0.01, 0.02)} | {
        ("constrained", v) for v in (0.9, 0.95, 0.97)
    }
    assert methods == expected


def test_a_method_has_its_own_layers_jacobian_and_images() -> None:
    plan = _plan("subspace=[unprojected,constrained,published]")
    (step,) = (s for s in plan.steps.values() if s.settings.get("solver") == "published")
    (jacobian,) = step.parents["jacobian"]  # of one image
    assert step.settings["layers"] == (4, 5, 6, 7)
    assert jacobian.settings["pixels"] == "published"
    assert jacobian.settings["layers"] == "all"
    assert step.parents["factorize"][0].settings["value"] == pytest.approx(1 / 60)
    moved = _plan("+subspace.constrained.layers=[4,5]").steps.values()
    layers = {str(s.settings["layers"]) for s in moved if s.stage == "jacobian"}
    assert layers == {"[4, 5]", "all"}  # J moves what the edit moves


def test_groups_of_layers_serve_methods_that_move_all_alike() -> None:
    overrides = ["subspace=[ours,constrained,resefa]", "sample.analysis_seeds=[0,1]"]
    overrides += ["metric.baseline=ours", "figure.method=ours", "edit.transfer_methods=[]"]
    overrides += ["+subspace.ours.images=1"]
    steps = _plan(*overrides).steps.values()
    found = {
        (tuple(s.settings["splits"]), *s.parents["sample"][0].settings["seeds"])
        for s in steps
        if s.stage == "jacobian"
    }
    assert found == {((7, 10), 0), ((), 1)}  # none of one w of the first image, for any method
    readers = [s for s in steps if "jacobian" in s.parents and s.stage in ("factorize", "subspace")]
    alike = {str(s.settings["joined"]) for s in readers if not s.settings.get("splits")}
    assert alike == {"all"}
    assert not any("joined" in s.settings for s in readers if s.settings.get("splits"))
    two = ["subspace.resefa.layers=[7,8,9]", "+subspace.constrained.layers=[7,8]"]
    steps = _plan(*overrides, "edit=above_coarse", "sample.analysis_seeds=[0]", *two).steps.values()
    own = {str(s.settings["layers"]) for s in steps if s.stage == "jacobian"}
    assert own == {str(list(range(4, 23))), "[7, 8]"}  # [7, 8, 9] is one of the groups
    joined = {str(s.settings["joined"]) for s in steps if "joined" in s.settings}
    assert joined == {str(list(range(4, 23))), "[7, 8, 9]"}


def test_jacobians_may_serve_regions_that_another_experiment_edits() -> None:
    faces = _plan("jacobian=of_paper").steps
    lips = _plan("jacobian=of_paper", "region=[mouth_landmarks]").steps
    only = _plan().steps

    def keys(steps, stage: str) -> set[str]:
        return {key for name, key in steps if name == stage}

    assert keys(faces, "jacobian") == keys(lips, "jacobian")
    assert not keys(faces, "jacobian") & keys(only, "jacobian")
    edits = {str(sorted(s.settings["regions"])) for s in lips.values() if s.stage == "metrics"}
    assert edits == {"['mouth_landmarks']"}
    reading = {str(s.settings["regions"]) for s in lips.values() if s.stage == "factorize"}
    assert reading == {"['mouth_landmarks']"}


def test_further_directions_cost_no_further_ranking() -> None:
    few = _plan("subspace=[ours]", *_OURS).steps
    many = _plan("subspace=[ours]", "edit.directions=9", *_OURS).steps
    (order,) = (s for s in many.values() if s.settings.get("solver") == "ranked")
    (tried,) = order.parents["metrics"]
    assert ("metrics", tried.key) in few
    assert tried.parents["subspace"][0].settings["directions"] == 4
    assert order.parents["subspace"][0].settings["directions"] == 9


def test_directions_of_several_images_are_ordered_on_three_faces_or_more() -> None:
    plan = _plan("experiment=paper_generalization_quick", "subspace.three_images.images=2")
    ranked = [s for s in plan.steps.values() if s.settings.get("solver") == "ranked"]
    faces = {str(s.parents["metrics"][0].parents["sample"][0].settings["seeds"]) for s in ranked}
    assert faces == {str([*range(10)]), "[0, 1, 100]"}


def test_only_directions_of_one_image_are_combined_by_further_faces() -> None:
    plan = _plan("experiment=paper_generalization_quick", "sample.analysis_seeds=[0,1,2,100]")
    combined = [s for s in plan.steps.values() if "share" in s.settings]
    assert {len(step.parents["jacobian"]) for step in combined} == {1}
    faces = {}
    for step in combined:
        (restrict,), (candidates,) = step.parents["restrict"], step.parents["subspace"]
        assert restrict.parents["subspace"] == [candidates]
        assert (candidates.settings["directions"], step.settings["directions"]) == (48, 1)
        image = step.parents["jacobian"][0].parents["sample"][0].settings["seeds"]
        faces[str(image)] = restrict.parents["sample"][0].settings["seeds"], step.settings["share"]
    assert faces["[0]"] == ([*range(100, 108)], 8 / 9)
    assert faces["[100]"] == ([*range(101, 108)], 7 / 8)
    assert len(faces) == 4


@pytest.mark.parametrize(("limit", "single"), [(2, [0, 1]), (9, [0, 1, 2]), ("null", [0, 1, 2])])
def test_at_most_so_many_images_are_tested_on_one_another(
    limit: int | str, single: list[int]
) -> None:
    plan = _plan("sample.analysis_seeds=[0,1,2]", f"edit.transfer_images={limit}")
    (generalize,) = (s for s in plan.steps.values() if s.stage == "generalize")
    sources = {source for source, _ in generalize.settings["crossed"]}
    assert sources == {f"seed {seed}" for seed in single}
    faces = [s.parents["sample"][0].settings["seeds"] for s in generalize.parents["crossed"]]
    assert faces == [single] * len(single)
    averaged = {len(s.parents["jacobian"]) for s in generalize.parents["subspace"]}
    assert averaged == {1, 3}


def test_what_most_work_waits_for_comes_first_and_pictures_last() -> None:
    plan = _plan()
    urgent = urgencies(plan.steps)

    def of(stage: str) -> dict[str, float]:
        return {key: urgent[key] for name, key in plan.steps if name == stage}

    metrics, drawn = of("metrics"), {step.key for step in plan.methods.values()}
    faces = {
        key: len(plan.steps["metrics", key].parents["sample"][0].settings["seeds"])
        for key in metrics.keys() - drawn
    }
    order = sorted(metrics, key=lambda key: -metrics[key])
    assert set(order[: len(drawn)]) == drawn
    others = [faces[key] for key in order[len(drawn) :]]
    assert others == sorted(others, reverse=True)
    assert len(set(others)) == 2
    assert max(of("picture").values()) < min(metrics.values())
    assert min(of("subspace").values()) > max(of("picture").values())
    assert all(0 <= priority <= 1 for priority in urgent.values())


def test_edits_that_give_directions_their_order_come_before_those_along_them() -> None:
    plan = _plan("subspace=[ours]", *_OURS, "sample.analysis_seeds=[0,1]")
    urgent = urgencies(plan.steps)
    (order,) = (s for s in plan.steps.values() if s.settings.get("solver") == "ranked")
    (tried,) = order.parents["metrics"]
    assert urgent[tried.key] > urgent[plan.methods["ours"].key]


def test_identity_is_measured_where_edits_are_shown() -> None:
    plan = _plan("subspace=[ours]", *_OURS, "metric=identity", "sample.analysis_seeds=[0,1]")
    (order,) = (s for s in plan.steps.values() if s.settings.get("solver") == "ranked")
    (tried,) = order.parents["metrics"]
    shown = plan.methods["ours"]
    assert "recognition.dat" in shown.parents["identity"][0].settings["files"]
    assert "identity" not in tried.parents
    assert plan.tables.settings["identity"]


def test_one_image_has_its_prior_given_and_several_choose() -> None:
    plan = _plan("experiment=paper_generalization_quick")
    priors = {
        len(s.parents["jacobian"]): s.settings["prior"]
        for s in plan.steps.values()
        if "prior" in s.settings
    }
    several = [0.1, 0.3, 0.5, 0.7]
    assert priors == {1: [0.7], 3: several, 10: several}


def test_several_strengths_are_named() -> None:
    plan = _plan("edit.targets={mse: 0.01, lpips: [0.05, 0.15]}")
    (targets,) = {str(s.settings["targets"]) for s in plan.steps.values() if s.stage == "metrics"}
    expected = [["mse", "mse", 0.01], ["lpips 0.05", "lpips", 0.05], ["lpips 0.15", "lpips", 0.15]]
    assert targets == str(expected)


def test_directions_of_a_file_stand_where_they_are_known(tmp_path) -> None:
    path = tmp_path / "eyes.npy"
    np.save(path, np.ones(512))
    own = f"+subspace.own={{solver: file, files: {{eyes: {path}}}}}"
    plan = _plan(own)
    drawn = [drawn.step for name, drawn in plan.figures.items() if name.startswith("strips")]
    shown = {step.settings["region"]: step.settings["labels"] for step in drawn}
    assert "own" in shown["eyes"] and "own" not in shown["mouth"]
    np.save(path, np.arange(512.0))
    assert {stage for stage, _ in _plan(own).steps.keys() - plan.steps.keys()} >= {"subspace"}


@pytest.mark.parametrize(
    ("shape", "layers", "message"),
    [
        ([2, 128], "", r"eyes\.npy: directions of shape \[128\], mobile.* needs \[512\]"),
        ([2, 18, 512], "", r"eyes\.npy: .* \[18, 512\], mobile.* needs \[23, 512\]"),
        ([2, 23, 512], ", layers: [4]", r"eyes\.npy: offsets in W\+ say .*leave out `layers`"),
    ],
)
def test_directions_that_do_not_fit_are_refused_before_anything_runs(
    tmp_path: Path, shape: list[int], layers: str, message: str
) -> None:
    path = tmp_path / "eyes.npy"
    np.save(path, np.ones(shape))
    with pytest.raises(LowRankGANError, match=message):
        _plan(f"+subspace.own={{solver: file, files: {{eyes: {path}}}{layers}}}")


def test_a_method_of_files_may_mix_rows_and_offsets(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.ones(512))
    np.save(tmp_path / "offsets.npy", np.ones([1, 23, 512]))
    files = f"{{eyes: {tmp_path / 'rows.npy'}, mouth: {tmp_path / 'offsets.npy'}}}"
    plan = _plan(f"+subspace.own={{solver: file, layers: [4], files: {files}}}")
    assert "own" in plan.methods


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("edit.resolution=64", r"judges images of 32 px .* edit\.resolution is 64"),
        ("sample.label=10", r"judges images .* classes 0 to 9; .* the class is 10"),
        ("sample.other_labels=[11]", r"judges images .* classes 0 to 9; .* the class is 11"),
    ],
)
def test_what_a_classifier_cannot_judge_is_refused_before_anything_runs(
    override: str, message: str
) -> None:
    with pytest.raises(LowRankGANError, match=message):
        _plan("experiment=biggan_fashion", override)


@pytest.mark.parametrize(
    "override", ["edit.resolution=64", "figure.resolution=64", "jacobian.resolution=64"]
)
def test_a_region_that_a_grid_does_not_show_is_refused_before_anything_runs(override: str) -> None:
    with pytest.raises(LowRankGANError, match=r"region\.point_eye: covers 0% of the 64 px grid"):
        _plan("region=[eyes,point_eye]", override)


@pytest.mark.parametrize(
    "content",
    ["", "method,region\na,eyes\n", "method,generator,region,inside,outside\na,b,eyes,0.1,1e-3*\n"],
)
def test_a_table_of_published_changes_is_read_before_anything_runs(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "published.csv"
    path.write_text(content)
    with pytest.raises(
        LowRankGANError, match=r"published\.csv: (cannot be read|holds no)"
    ) as caught:
        _plan(f"metric.published={path}")
    assert "\n" not in str(caught.value)


def test_methods_are_measured_by_vgg_and_single_images_are_not() -> None:
    def by_vgg(*overrides: str) -> tuple[Plan, list[str]]:
        plan = _plan(*overrides)
        steps = [step for step in plan.steps.values() if step.stage == "metrics"]
        assert any(not step.settings["vgg"] for step in steps)
        return plan, sorted(step.key for step in steps if step.settings["vgg"])

    plan, found = by_vgg()
    assert found == sorted(step.key for step in plan.methods.values())
    plan, found = by_vgg("experiment=biggan_fashion")
    classes = load_configuration(["experiment=biggan_fashion"]).sample.other_labels
    assert len(found) == len(plan.methods) * (1 + len(classes))


def test_steps_come_after_their_parents() -> None:
    seen: set[str] = set()
    for step in _plan().steps.values():
        assert all(parent.folder in seen for steps in step.parents.values() for parent in steps)
        seen.add(step.folder)


def test_a_job_is_plain_json_without_absolute_paths() -> None:
    for step in _plan().steps.values():
        assert json.loads(step.job)["output"] == step.folder
        assert str(ROOT) not in step.job


def test_one_analysis_image_is_enough() -> None:
    stages = [stage for stage, _ in _plan("sample.analysis_seeds=[5]").steps]
    assert stages.count("jacobian") == 1
    assert stages.count("generalize") == 1


def test_landmark_regions_bring_the_landmark_model() -> None:
    boxes = next(s for s in _plan().steps.values() if s.stage == "jacobian")
    assert "landmarks" not in boxes.parents
    found = _plan("region=[mouth_landmarks]").steps.values()
    assert all("landmarks" in s.parents for s in found if s.stage in ("jacobian", "metrics"))


def test_a_mask_file_counts_by_its_content(tmp_path) -> None:
    path = tmp_path / "mask.png"
    region = f"+region.own={{kind: mask, path: {path}}}"
    Image.fromarray(np.eye(9, dtype=np.uint8) * 255).resize((90, 90)).save(path)
    first = _plan(region).steps.keys()
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).resize((90, 90)).save(path)
    assert {stage for stage, _ in _plan(region).steps.keys() - first} >= {"jacobian", "metrics"}
    path.write_bytes(b"no picture")
    with pytest.raises(LowRankGANError, match=r"region\.own: .*mask\.png: mask cannot be read as"):
        _plan(region)
    path.unlink()
    with pytest.raises(LowRankGANError, match=r"mask\.png: mask of a region cannot be read"):
        _plan(region)


@pytest.mark.parametrize("stage", sorted({stage for stage, _ in _plan().steps}))
def test_code_of_a_stage_is_its_script_and_what_it_imports(stage: str) -> None:
    code = code_of(ROOT, stage)
    assert code[0].endswith(f"scripts/{stage}.py")
    assert any(path.endswith("scripts/job.py") for path in code)
    assert not any("workflow" in path for path in code)


def test_code_of_a_stage_reaches_what_is_imported_indirectly() -> None:
    code = " ".join(code_of(ROOT, "jacobian"))
    assert "lowrankgan/generators/mobilestylegan.py" in code
    assert "lowrankgan/gram.py" in code
    assert "lowrankgan/figures" not in code


def test_ranks_are_told_apart_by_the_jacobian_that_they_are_of() -> None:
    own = ["subspace=[unprojected,constrained,projected]", "+subspace.constrained.images=1"]
    swept = ["factorization.energy=[0.9,0.95]", "edit.transfer_methods=[constrained,projected]"]
    tables = _plan(*own, *swept, "+subspace.projected.jacobian={resolution: 128}").tables
    rows = {label: source for label, *_, source in tables.settings["sweep"]}
    assert rows == {f"constrained {value}": f"constrained {value}" for value in (0.9, 0.95)}
    sources = {source for source, rule, _ in tables.settings["factors"] if rule == "pursuit"}
    assert sources == {"average", "projected", "seed 0 projected", "seed 1 projected"}
