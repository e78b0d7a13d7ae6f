"""Perceptual and masked distances, landmarks, attributes, bootstrap."""

import pickle
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.readers.numpy_pickle import read_numpy_pickle
from lowrankgan.images import to_unit
from lowrankgan.metrics.attributes import ATTRIBUTES, eye_opening, mouth_opening, smile
from lowrankgan.metrics.bootstrap import bootstrap_interval
from lowrankgan.metrics.identity import SIZE, FaceIdentity
from lowrankgan.metrics.landmarks import POINTS, FaceLandmarks
from lowrankgan.metrics.masked import inside_outside, masked_mse
from lowrankgan.metrics.perceptual import Perceptual
from lowrankgan.metrics.torchvision_cpu import import_torchvision
from lowrankgan.sampling import sample_latents

CHECKPOINTS = {"alex": "alexnet.ckpt", "vgg": "vgg16.ckpt"}


@pytest.fixture(scope="session")
def perceptual(lpips_weights: Path) -> dict[str, Perceptual]:
    return {
        "alex": Perceptual(lpips_weights / CHECKPOINTS["alex"], "alex"),
        "vgg": Perceptual(lpips_weights / CHECKPOINTS["vgg"], "vgg"),
    }


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def reference_lpips(lpips_weights: Path) -> Any:
    """`lpips.LPIPS` itself with AlexNet's weights placed one by one."""
    import_torchvision()
    import lpips

    with torch.random.fork_rng(devices=[]), pytest.warns(UserWarning, match="deprecated"):
        model = lpips.LPIPS(net="alex", pnet_rand=True, spatial=True, verbose=False)
    arrays = read_numpy_pickle(lpips_weights / CHECKPOINTS["alex"])["AlexNet_0"]
    net = model.net
    layers = net.slice1[0], net.slice2[1], net.slice3[1], net.slice4[0], net.slice5[0]
    for i, layer in enumerate(layers):
        kernel = np.moveaxis(arrays[f"Conv_{i}"]["kernel"], (3, 2), (0, 1))
        layer.weight.data.copy_(torch.tensor(kernel))
        layer.bias.data.copy_(torch.tensor(arrays[f"Conv_{i}"]["bias"]))
    return model


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(64, 64), (256, 256), (100, 140)])
def test_distances_are_those_of_lpips(
    perceptual: dict[str, Perceptual], lpips_weights: Path, height: int, width: int
) -> None:
    a, b = random_images(2, 2, 3, height, width)
    b = (a + 0.3 * b).clamp(0, 1)
    model = reference_lpips(lpips_weights)
    alex = perceptual["alex"]
    fa, fb = alex.features(a), alex.features(b)
    expected = model(a, b, normalize=True).squeeze(1)
    torch.testing.assert_close(alex.distance_map(fa, fb), expected, atol=1e-5, rtol=0)
    model.spatial = False
    expected = model(a, b, normalize=True).flatten()
    torch.testing.assert_close(alex.distance(fa, fb), expected, atol=1e-5, rtol=0)


def test_vgg_distance_is_the_published_one(perceptual: dict[str, Perceptual]) -> None:
    """The example in the documentation of torchmetrics' LearnedPerceptualImagePatchSimilarity.

    torchmetrics 0.11, Apache-2.0: `tensor(0.3493)` for net_type="vgg" on two batches of random
    images after `torch.manual_seed(123)`, computed with torchvision's own weights. That example
    initialises VGG-16 and the five heads between seeding and drawing, one number a parameter.
    """
    generator = torch.Generator().manual_seed(123)
    for count in (*[1 << 20] * 131, 138_357_544 + 1_472 - (131 << 20)):
        torch.rand(count, generator=generator)
    a, b = (torch.rand(10, 3, 100, 100, generator=generator) for _ in range(2))
    vgg = perceptual["vgg"]
    assert vgg.distance(vgg.features(a), vgg.features(b)).mean().item() == pytest.approx(
        0.3493, abs=5e-5
    )


def test_alex_distance_does_not_drift(perceptual: dict[str, Perceptual]) -> None:
    """A number of our own: no value of AlexNet's LPIPS is published on reproducible images."""
    generator = torch.Generator().manual_seed(123)
    a, b = (torch.rand(10, 3, 100, 100, generator=generator) for _ in range(2))
    alex = perceptual["alex"]
    assert alex.distance(alex.features(a), alex.features(b)).mean().item() == pytest.approx(
        0.148562, abs=1e-5
    )


@pytest.mark.parametrize("net", CHECKPOINTS)
def test_one_reference_serves_many_edits(perceptual: dict[str, Perceptual], net: str) -> None:
    metric, images = perceptual[net], random_images(4, 3, 64, 64)
    one, many = metric.features(images[:1]), metric.features(images)
    for measure in (metric.distance, metric.distance_map):
        values = measure(one, many)
        assert values.dtype == torch.float32
        assert len(values) == 4
        assert not values.requires_grad
        torch.testing.assert_close(values, measure(many, one))
        torch.testing.assert_close(values[2:3], measure(one, metric.features(images[2:3])))
        assert values[0].abs().max() < 1e-6 < values[1].max()


def test_features_clamp_and_leave_the_random_state_alone(lpips_weights: Path) -> None:
    state = torch.get_rng_state()
    alex = Perceptual(lpips_weights / CHECKPOINTS["alex"], "alex")
    assert torch.equal(torch.get_rng_state(), state)
    images = random_images(1, 3, 64, 64) * 2 - 0.5
    inside, outside = alex.features(images.clamp(0, 1)), alex.features(images.double())
    assert alex.distance(inside, outside).item() == 0


def test_perceptual_refuses_other_checkpoints(lpips_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(LowRankGANError, match=r"lacks 'VGG16_0/.*expected LPIPS's 'vgg' trunk"):
        Perceptual(lpips_weights / CHECKPOINTS["alex"], "vgg")
    with pytest.raises(LowRankGANError, match="net: expected one of"):
        Perceptual(lpips_weights / CHECKPOINTS["alex"], "squeeze")  # type: ignore[arg-type]
    with pytest.raises(LowRankGANError, match="cannot be read"):
        Perceptual(tmp_path / "none.ckpt", "alex")
    path = tmp_path / "altered.ckpt"
    for key, leaf, value, message in (
        ("AlexNet_0", "bias", np.zeros(3, np.float32), r"Conv_0/bias' has shape \[3\], expected"),
        ("AlexNet_0", "bias", np.zeros(64), "Conv_0/bias' is not an array of float32"),
        ("AlexNet_0", "bias", 1.0, "Conv_0/bias' is not an array of float32"),
        ("AlexNet_0", "scale", 1.0, "has an unexpected 'AlexNet_0/Conv_0/scale'"),
        ("NetLinLayer_0", "kernel", np.ones((1, 1, 64, 1), np.float32), "differs from that of"),
    ):
        tree = read_numpy_pickle(lpips_weights / CHECKPOINTS["alex"])
        tree[key]["Conv_0"][leaf] = value
        path.write_bytes(pickle.dumps(tree))
        with pytest.raises(LowRankGANError, match=message):
            Perceptual(path, "alex")


def test_features_refuse_other_shapes(perceptual: dict[str, Perceptual]) -> None:
    for shape in ((3, 64, 64), (1, 1, 64, 64), (1, 3, 64, 31)):
        with pytest.raises(LowRankGANError, match="images: expected"):
            perceptual["alex"].features(torch.zeros(shape))


def test_inside_outside_by_hand() -> None:
    values = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[0.0, 4.0], [8.0, 0.0]]])
    mask = torch.tensor([[True, True], [True, False]])
    inside, outside = inside_outside(values, mask)
    torch.testing.assert_close(inside, torch.tensor([2.0, 4.0]))
    torch.testing.assert_close(outside, torch.tensor([6.0, 0.0]))
    inside, outside = inside_outside(values, torch.stack([mask, ~mask]))
    torch.testing.assert_close(inside, torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(outside, torch.tensor([6.0, 4.0]))


def test_masked_mse_by_hand() -> None:
    original = torch.zeros(1, 3, 2, 2)
    edited = torch.zeros(2, 3, 2, 2)
    edited[0, :, 0, 0] = torch.tensor([0.3, 0.6, 0.0])
    edited[1, :, 1, 1] = torch.tensor([3.0, -5.0, 1.0])  # seen as 1, 0, 1
    mask = torch.tensor([[True, False], [False, False]])
    inside, outside = masked_mse(original, edited, mask)
    torch.testing.assert_close(inside, torch.tensor([0.15, 0.0]))
    torch.testing.assert_close(outside, torch.tensor([0.0, 2 / 9]))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(4, 4, dtype=torch.bool), "covers 0 to 0 of 16 pixels"),
        (torch.ones(4, 4, dtype=torch.bool), "covers 16 to 16 of 16 pixels"),
        (torch.ones(4, 4), "expected bool of shape"),
        (torch.eye(5, dtype=torch.bool), r"expected bool of shape \[4, 4\]"),
        (torch.eye(4, dtype=torch.bool).repeat(3, 1, 1), r"got torch.bool of shape \[3, 4, 4\]"),
    ],
)
def test_masks_are_checked(mask: Tensor, message: str) -> None:
    with pytest.raises(LowRankGANError, match=message):
        inside_outside(torch.zeros(2, 4, 4), mask)


@pytest.fixture(scope="session")
def landmarks(landmark_weights: Path) -> FaceLandmarks:
    return FaceLandmarks(landmark_weights / "face_landmark.tflite")


@pytest.fixture(scope="session")
def face() -> Tensor:
    """An FFHQ-aligned face, [1, 3, 256, 256] in [0, 1]."""
    with Image.open(Path(__file__).parent / "data" / "face_256.png") as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    return torch.tensor(pixels).permute(2, 0, 1)[None]


def test_landmarks_of_a_face(landmarks: FaceLandmarks, face: Tensor) -> None:
    points, scores = landmarks(face)
    assert points.shape == (1, POINTS, 2)
    assert points.dtype == np.float64
    assert scores[0] > 20
    eyes = points[0, [33, 133, 159, 145, 362, 263, 386, 374]] * 256
    assert ((eyes[:, 0] > 64) & (eyes[:, 0] < 192)).all()
    assert ((eyes[:, 1] > 106) & (eyes[:, 1] < 134)).all()
    assert points[0, 33, 0] < points[0, 263, 0]
    assert 0.05 < eye_opening(points)[0] < 0.6
    assert 0 <= mouth_opening(points)[0] < 0.8
    assert 0.1 < smile(points)[0] < 0.7


def test_landmarks_do_not_depend_on_size_or_company(landmarks: FaceLandmarks, face: Tensor) -> None:
    large = F.interpolate(face, size=(512, 512), mode="bilinear")
    mixed = torch.cat([face, torch.zeros_like(face), face])
    (one, _), (other, _), (several, scores) = landmarks(face), landmarks(large), landmarks(mixed)
    np.testing.assert_allclose(other, one, atol=2 / 256)
    np.testing.assert_allclose(several[[0, 2]], one.repeat(2, 0), atol=1e-6)
    assert np.isnan(several[1]).all()
    assert scores[1] < 0


def test_what_is_no_upright_face_has_no_landmarks(landmarks: FaceLandmarks, face: Tensor) -> None:
    blank, noise = torch.full_like(face, 0.5), random_images(1, 3, 256, 256)
    points, scores = landmarks(torch.cat([face.flip(2), face.rot90(1, (2, 3)), blank, noise]))
    assert np.isfinite(scores).all()
    assert np.isnan(points).all()
    for score in ATTRIBUTES.values():
        assert np.isnan(score(points)).all()


def test_landmarks_accept_arrays_and_refuse_other_shapes(landmarks: FaceLandmarks) -> None:
    assert landmarks(np.zeros((2, 3, 64, 64)))[0].shape == (2, POINTS, 2)
    for shape in ((3, 64, 64), (1, 64, 64, 3), (1, 3, 64, 32)):
        with pytest.raises(LowRankGANError, match="images: expected"):
            landmarks(np.zeros(shape))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FaceLandmarks, r"face\.model: is not there or is not a TFLite"),
        (FaceIdentity, r"face\.model: is not there or is not dlib"),
    ],
)
def test_models_of_faces_refuse_other_files(
    tmp_path: Path, model: type[FaceLandmarks] | type[FaceIdentity], message: str
) -> None:
    path = tmp_path / "face.model"
    for content in (None, b"", bytes(64)):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(LowRankGANError, match=message):
            model(path)


@pytest.fixture(scope="session")
def identity(identity_weights: Path) -> FaceIdentity:
    return FaceIdentity(identity_weights / "recognition.dat")


def test_embeddings_are_those_of_dlib(
    identity: FaceIdentity, identity_weights: Path, landmarks: FaceLandmarks, face: Tensor
) -> None:
    """dlib itself finds the chip of whole pixels, and so gets such points here."""
    points = np.round(landmarks(face)[0] * 256 - 0.5)
    reference = dlib.face_recognition_model_v1(str(identity_weights / "recognition.dat"))
    corners = [dlib.point(*points[0, i].astype(int).tolist()) for i in (263, 362, 33, 133, 2)]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 255, 255), corners)
    image = (255 * face[0]).round().byte().permute(1, 2, 0).numpy()
    expected = np.array(reference.compute_face_descriptor(image, shape))
    (found,) = identity(face, (points + 0.5) / 256)
    assert np.linalg.norm(expected) > 1
    assert np.linalg.norm(found - expected) < 0.02


def test_a_face_is_the_same_person_wherever_it_is_and_another_is_not(
    identity: FaceIdentity, landmarks: FaceLandmarks, mobilestylegan: Generator
) -> None:
    _, ws = sample_latents(mobilestylegan, [1000, 1001, 1004], psi=0.7, cutoff=None, label=None)
    with torch.inference_mode():
        faces = to_unit(torch.cat([mobilestylegan.render(one[None], 256) for one in ws]))
    moved = F.interpolate(faces.roll((3, -5), (2, 3)), size=(300, 300), mode="bilinear")
    embedded, again = (identity(images, landmarks(images)[0]) for images in (faces, moved))
    apart = np.linalg.norm(embedded[:, None] - again, axis=-1)
    assert apart.diagonal().max() < 0.2
    assert apart[~np.eye(3, dtype=bool)].min() > 0.6


def test_what_is_no_face_has_no_identity(identity: FaceIdentity, face: Tensor) -> None:
    found = identity(face, np.full((1, POINTS, 2), np.nan))
    assert found.shape == (1, SIZE)
    assert np.isnan(found).all()


def drawn_face(lid: float = 2.0, lips: float = 3.0, corners: float = 0.0) -> NDArray[Any]:
    """Eyes 10 wide at y = 40, 60 from corner to corner; mouth 24 wide around (50, 80)."""
    points = np.zeros((POINTS, 2))
    points[[33, 133, 362, 263]] = [(20, 40), (30, 40), (70, 40), (80, 40)]
    points[[159, 145, 386, 374]] = [(25, 40 - lid), (25, 40 + lid), (75, 40 - lid), (75, 40)]
    points[[13, 14, 78, 308]] = [(50, 80 - lips), (50, 80 + lips), (40, 80), (60, 80)]
    points[[61, 291]] = [(38, 80 - corners), (62, 80 - corners)]
    return points


def test_attributes_of_a_drawn_face() -> None:
    points = drawn_face()[None]
    np.testing.assert_allclose(eye_opening(points), [(0.4 + 0.2) / 2])
    np.testing.assert_allclose(mouth_opening(points), [6 / 20])
    np.testing.assert_allclose(smile(points), [12 / 60])
    closed = drawn_face(lid=0, lips=0, corners=3)[None]
    np.testing.assert_allclose(eye_opening(closed), [0])
    np.testing.assert_allclose(mouth_opening(closed), [0])
    np.testing.assert_allclose(smile(closed), [(12 + 3) / 60])


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_ignore_position_size_and_rotation(name: str) -> None:
    points = np.stack([drawn_face(), drawn_face(1.0, 5.0, -2.0), drawn_face(3.0, 0.5, 6.0)])
    angle = np.deg2rad(25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = 0.01 * points @ turn.T + [0.3, -0.1]
    scores = ATTRIBUTES[name](points)
    assert scores.shape == (3,)
    assert len(set(scores)) == 3
    np.testing.assert_allclose(ATTRIBUTES[name](moved), scores)


def test_bootstrap_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=33)
    whole = bootstrap_interval(values, np.mean, 1, 1000, 0.95)
    monkeypatch.setattr("lowrankgan.metrics.bootstrap._RESAMPLED", 33 * 7)
    assert bootstrap_interval(values, np.mean, 1, 1000, 0.95) == whole


def test_bootstrap_covers_the_median() -> None:
    values = np.random.default_rng(0).normal(5.0, 1.0, 200)
    low, high = bootstrap_interval(values, np.median, seed=1, resamples=1000, level=0.95)
    assert low < np.median(values) < high
    assert high - low == pytest.approx(2 * 1.96 * 1.2533 / 200**0.5, rel=0.4)
    assert (low, high) == bootstrap_interval(values, np.median, 1, 1000, 0.95)
    with_gaps = np.concatenate([values, [np.nan] * 5])
    assert (low, high) == bootstrap_interval(with_gaps, np.median, 1, 1000, 0.95)


@pytest.mark.parametrize("values", [[], [1.0], [np.nan] * 4, [2.0, np.nan]])
def test_bootstrap_of_too_few_faces(values: list[float]) -> None:
    assert np.isnan(bootstrap_interval(np.array(values), np.mean, 0, 100, 0.9)).all()
