"""The trainer on tiny networks, and what its samples are judged by."""

import gzip
import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from job import Job, run
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import load_checkpoint, save_checkpoint
from lowrankgan.generators.loading import build_generator
from lowrankgan.metrics.frechet import frechet_distance
from lowrankgan.training.augmentation import augment
from lowrankgan.training.classifier import (
    batches,
    judge,
    load_classifier,
    save_classifier,
    train_classifier,
)
from lowrankgan.training.data import LabelledImages, load, read_folder, read_idx, save
from lowrankgan.training.generator import export, render
from lowrankgan.training.settings import Settings
from lowrankgan.training.sources import fetch_files
from lowrankgan.training.trainer import Trainer
from workflow.configuration import load_training
from workflow.overrides import training_overrides_of
from workflow.train import main as train_main
from workflow.train_plan import unroll_training

CPU = torch.device("cpu")
SETTINGS = Settings(
    chunk=3,
    embedding=4,
    channels=(8, 6, 4),
    discriminator=(4, 8),
    batch=4,
    steps=6,
    generator_rate=1e-2,
    discriminator_rate=1e-2,
    ema=0.5,
    translation=0.125,
    cutout=0.25,
    report_every=3,
    seed=1,
)


@pytest.fixture(scope="module")
def data() -> LabelledImages:
    """Bright images of one class and dark ones of the other."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    pixels = (
        torch.randint(0, 100, (40, 1, 16, 16), generator=random) + 150 * labels[:, None, None, None]
    )
    return LabelledImages(pixels.to(torch.uint8), labels, 2)


def _advance(trainer: Trainer, steps: int) -> Trainer:
    for _ in range(steps):
        trainer.advance()
    return trainer


def _state(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "state.safetensors")


def test_resumes_bit_for_bit(data: LabelledImages, tmp_path: Path) -> None:
    whole, first = Trainer(SETTINGS, data, CPU), Trainer(SETTINGS, data, CPU)
    _advance(whole, 6).save(tmp_path / "whole")
    _advance(first, 3).save(tmp_path / "parts")
    second = Trainer(SETTINGS, data, CPU)
    assert second.resume(tmp_path / "parts")
    assert second.step == 3
    _advance(second, 3).save(tmp_path / "parts")
    expected, found = _state(tmp_path / "whole"), _state(tmp_path / "parts")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert torch.equal(expected["losses"], torch.tensor(second.losses, dtype=torch.float64))


def test_every_seed_and_every_step_draws_its_own_batches(data: LabelledImages) -> None:
    found = []
    for seed in (0, 1, 7):
        trainer = Trainer(replace(SETTINGS, seed=seed), data, CPU)
        trainer._discriminator_loss = lambda random: float(torch.rand(1, generator=random))
        trainer._generator_loss = lambda random: 0.0
        found += [drawn for drawn, _ in _advance(trainer, 3).losses]
    assert len(set(found)) == 9


def test_a_checkpoint_of_other_settings_is_refused(data: LabelledImages, tmp_path: Path) -> None:
    assert not Trainer(SETTINGS, data, CPU).resume(tmp_path)
    _advance(Trainer(SETTINGS, data, CPU), 1).save(tmp_path)
    assert Trainer(replace(SETTINGS, steps=9), data, CPU).resume(tmp_path)
    with pytest.raises(LowRankGANError, match="it is of other settings"):
        Trainer(replace(SETTINGS, batch=2), data, CPU).resume(tmp_path)
    (tmp_path / "state.safetensors").write_bytes(b"no")
    with pytest.raises(LowRankGANError, match="cannot be resumed from"):
        Trainer(SETTINGS, data, CPU).resume(tmp_path)


def test_export_renders_as_the_trained_network(data: LabelledImages, tmp_path: Path) -> None:
    trained = _advance(Trainer(SETTINGS, data, CPU), 6).calibrated()
    save_checkpoint(export(trained), tmp_path / "generator.safetensors")
    generator = build_generator(load_checkpoint(tmp_path / "generator.safetensors"))
    z = torch.randn(8, 9, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8) % 2
    with torch.no_grad():
        expected = render(trained, z, labels)
    images = generator.synthesis(generator.broadcast(generator.mapping(z, labels)))
    assert (generator.resolution, generator.num_classes) == (16, 2)
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=0)
    assert expected.std() > 1e-3


def test_calibration_stores_the_moments_that_training_normalises_by(data: LabelledImages) -> None:
    """On the batches of the calibration, evaluation gives what training mode gave on average."""
    trainer = _advance(Trainer(SETTINGS, data, CPU), 2)
    generator = trainer.calibrated()
    random = torch.Generator().manual_seed(SETTINGS.seed)
    z = torch.randn(2000, 9, generator=random)
    labels = torch.arange(2000) % 2
    with torch.no_grad():
        stored = render(generator, z, labels)
        batch = render(generator.train(), z, labels)
    assert (stored - batch).abs().mean() < 0.1 * batch.std()


def test_spectral_norms_are_one(data: LabelledImages) -> None:
    state = export(_advance(Trainer(SETTINGS, data, CPU), 6).calibrated()).state
    weight = state["blocks.0.conv1.weight"].flatten(1)
    assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(1, abs=0.1)


def test_training_moves_the_weights_that_are_kept(data: LabelledImages) -> None:
    trainer = Trainer(SETTINGS, data, CPU)
    before = {key: value.clone() for key, value in trainer.averaged.named_parameters()}
    _advance(trainer, 2)
    still = [k for k, v in trainer.averaged.named_parameters() if torch.equal(v, before[k])]
    # A bias before a batch normalisation does nothing; its gradient is rounding at most.
    assert not [key for key in still if not key.endswith("bias")]


def test_augmentation_shifts_and_blanks() -> None:
    images = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) + 1
    images.requires_grad_(True)
    found = augment(images, 0.125, 0.25, torch.Generator().manual_seed(0))
    blank = (found == 0).all(1)
    assert found.shape == images.shape
    assert 0 < blank.flatten(1).sum(1).float().mean() <= 16
    assert not torch.equal(
        found[~blank[:, None].expand_as(found)], images[~blank[:, None].expand_as(found)]
    )
    again = augment(images, 0.125, 0.25, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)
    found.sum().backward()
    assert images.grad is not None
    assert torch.equal(augment(images, 0.0, 0.0, torch.Generator()), images)


def test_classifier_learns_and_is_read_back(data: LabelledImages, tmp_path: Path) -> None:
    classifier = train_classifier(data, steps=30, batch=8, rate=1e-2, seed=0, device=CPU)
    save_classifier(classifier, tmp_path / "classifier.safetensors")
    read = load_classifier(tmp_path / "classifier.safetensors", CPU)
    features, given, seen = judge(read, batches(data, CPU))
    assert torch.equal(given, data.labels)
    assert (given == seen).float().mean() == 1
    assert torch.equal(features, judge(classifier, batches(data, CPU))[0])
    (tmp_path / "broken").write_bytes(b"x")
    with pytest.raises(LowRankGANError, match="is missing or not a classifier"):
        load_classifier(tmp_path / "broken", CPU)
    classifier.sizes["resolution"] = 1 << 40
    save_classifier(classifier, tmp_path / "huge")
    with pytest.raises(LowRankGANError, match=r"not a classifier \(its sizes are"):
        load_classifier(tmp_path / "huge", CPU)


def test_frechet_distance_of_known_normal_distributions() -> None:
    random = np.random.default_rng(0)
    first = random.normal(size=(20000, 3))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, first + np.array([3, 0, 4])) == pytest.approx(25)
    # Covariances I and 4 I: the trace of (1 + 4 - 2 * 2) I.
    assert frechet_distance(first, 2 * first) == pytest.approx(3, rel=0.05)
    with pytest.raises(LowRankGANError, match="expected two sets"):
        frechet_distance(first, first[:, :2])


def _write_idx(path: Path, values: np.ndarray) -> None:
    header = np.array([0x800 + values.ndim, *values.shape], ">u4")
    path.write_bytes(header.tobytes() + values.astype(np.uint8).tobytes())


def test_idx_files_are_padded(tmp_path: Path) -> None:
    grey = np.arange(2 * 5 * 5).reshape(2, 5, 5)
    _write_idx(tmp_path / "images", grey)
    _write_idx(tmp_path / "labels", np.array([1, 0]))
    found = read_idx(tmp_path / "images", tmp_path / "labels", 8)
    assert found.pixels.shape == (2, 1, 8, 8)
    assert np.array_equal(found.pixels[:, 0, 1:6, 1:6].numpy(), grey)
    assert found.pixels.sum() == grey.sum()
    images, labels = found.batch(torch.tensor([1]), CPU)
    assert images.shape == (1, 3, 8, 8)
    assert float(images.min()) == -1
    assert labels.tolist() == [0]
    with pytest.raises(LowRankGANError, match="is not an IDX file of 3 dimensions"):
        read_idx(tmp_path / "labels", tmp_path / "labels", 8)
    with pytest.raises(LowRankGANError, match="square and of at most 4 px"):
        read_idx(tmp_path / "images", tmp_path / "labels", 4)


def test_a_folder_of_pictures_by_class(tmp_path: Path) -> None:
    for name, colour in (("b", "red"), ("a", "blue")):
        (tmp_path / name).mkdir()
        for index in range(4):
            Image.new("RGB", (12, 8), colour).save(tmp_path / name / f"{index}.png")
    training, held_out = read_folder(tmp_path, 8, held_out_every=3)
    assert training.labels.tolist() == [0, 0, 1, 1]
    assert held_out.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(LowRankGANError, match=r"2 pictures would be held out, expected 4 or more"):
        read_folder(tmp_path, 8, held_out_every=4)
    assert training.pixels[0, :, 0, 0].tolist() == [0, 0, 255]
    save(training, tmp_path / "data.safetensors")
    read = load(tmp_path / "data.safetensors")
    assert torch.equal(read.pixels, training.pixels)
    assert read.classes == 2
    deep = Image.fromarray(np.full((8, 8), 0x8080, dtype=np.uint16))
    deep.save(tmp_path / "a/1.png")
    assert read_folder(tmp_path, 8, held_out_every=3)[0].pixels[0].unique().tolist() == [0x80]
    with pytest.raises(LowRankGANError, match="one for each class"):
        read_folder(tmp_path / "a", 8, held_out_every=3)


def test_pictures_are_turned_upright_and_broken_orientations_ignored(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8), "red")
    picture.paste((0, 0, 255), (0, 0, 8, 4))  # the upper half
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "0.png")
        picture.save(tmp_path / name / "1.png", exif=turned)
        picture.save(tmp_path / name / "2.png", exif=b"Exif\0\0no TIFF")
        picture.save(tmp_path / name / "3.png")
    training, _ = read_folder(tmp_path, 8, held_out_every=3)
    red, blue = [255, 0, 0], [0, 0, 255]
    assert training.pixels[:, :, 0, 0].tolist() == [red, blue, red, blue]


def test_data_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lowrankgan.training.sources._MAX_BYTES", 100)
    (tmp_path / "f.gz").write_bytes(gzip.compress(bytes(101)))
    folder = str(tmp_path).removeprefix("/")
    with pytest.raises(LowRankGANError, match=r"f\.gz unpacks to more than 100 bytes"):
        fetch_files({"f": "0"}, "no-such-package-of-ours", folder, "https://[", tmp_path)


def test_data_that_cannot_be_had_names_every_source(tmp_path: Path) -> None:
    with pytest.raises(LowRankGANError) as raised:
        fetch_files({"f": "0"}, "no-such-package-of-ours", "no/such", "https://[", tmp_path)
    message = str(raised.value)
    assert message.count("\n") == 0
    assert all(part in message for part in ("/no/such:", "apt-get download", "https://["))


def test_make_train_hands_its_arguments_on_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        "workflow.train.make", lambda steps, *config, target: asked.append((*config, target)) or 3
    )
    monkeypatch.setenv("ARGS", """schedule.steps=5 'limits="a: b # c"'""")
    assert train_main() == 3
    ((told, target),) = asked
    assert target == "trained"
    key, _, value = str(told).partition("=")
    assert training_overrides_of({key: value}) == ["schedule.steps=5", 'limits="a: b # c"']
    monkeypatch.setenv("ARGS", "schedule.steps=-5")
    assert train_main() == 2
    assert capsys.readouterr().err.startswith("error: configuration: schedule.steps: -5")


def test_checkpoints_are_of_one_set_of_data_and_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job({}, {"dataset": [tmp_path]}, tmp_path)
    (tmp_path / "record.json").write_text("{}")
    origin = importlib.import_module("train")._origin
    first = origin(job)
    assert origin(job) == first
    (tmp_path / "record.json").write_text('{"other": 1}')
    second = origin(job)
    found = {first, second}
    (tmp_path / "code.py").write_text("")
    for package in ("training", "generators"):
        with monkeypatch.context() as changed:
            changed.setattr(f"lowrankgan.{package}.__path__", [str(tmp_path)])
            found.add(origin(job))
    assert len(found) == 4


def test_a_discriminator_deeper_than_its_images_is_refused() -> None:
    network = "network={chunk: 3, embedding: 4, channels: [8, 4], discriminator: [4, 4, 4, 4]}"
    load_training([network])
    with pytest.raises(LowRankGANError, match="discriminator: 5 blocks, at most 4"):
        load_training([network.replace("[4, 4, 4, 4]", "[4, 4, 4, 4, 4]")])


def test_the_stages_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All four scripts on a folder of pictures, and once more from a checkpoint."""
    random = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(12):
            pixels = random.integers(0, 100, (16, 16, 3)) + 150 * (name == "light")
            picture = Image.fromarray(pixels.astype(np.uint8))
            picture.save(tmp_path / "data" / name / f"{index}.png")
    overrides = [
        "~data",
        "+data={kind: folder, path: data, held_out_every: 3}",
        "classes=[dark, light]",
        "limits=noise",
        "network={chunk: 3, embedding: 4, channels: [8, 6, 4], discriminator: [4, 8]}",
        "schedule.steps=4",
        "schedule.batch=4",
        "schedule.report_every=2",
        "classifier.steps=5",
        "assessed=100",
    ]
    monkeypatch.chdir(tmp_path)
    plan = unroll_training(load_training(overrides))
    for step in plan.steps.values():
        monkeypatch.setattr(sys, "argv", [step.stage, step.job])
        run(importlib.import_module(step.stage).main)
    card = Path(plan.card.folder)
    text = (card / "card.md").read_text()
    assert "4 steps of 4 images" in text
    assert "16 images to train on" in text
    assert text.endswith("this data\nset. noise\n")
    assert (card / "curves.png").exists()
    with Image.open(card / "samples.png") as picture:
        assert picture.size == (2 * 16, 10 * 16)
    quality = pd.read_csv(card / "quality.csv")
    assert quality["classifier accuracy"].between(0, 1).all()
    assert (quality["Frechet distance to held-out"] > 0).all()
    trained = next(step for step in plan.steps.values() if step.stage == "train")
    weights = Path(trained.folder) / "generator.safetensors"
    before = weights.read_bytes()
    weights.unlink()
    monkeypatch.setattr(sys, "argv", ["train", trained.job])
    run(importlib.import_module("train").main)
    assert weights.read_bytes() == before
