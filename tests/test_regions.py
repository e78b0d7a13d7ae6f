import numpy as np
import pytest
from PIL import Image

from lowrankgan.errors import LowRankGANError
from lowrankgan.regions import build_region
from lowrankgan.weights import hash_of
from workflow.configuration import CONF, load_configuration

# Published boxes: centre row and column, height, width; rows are centre - height // 2 onwards.
PUBLISHED = {
    "eyes": (120, 128, 20, 115),
    "left_eye": (120, 95, 20, 38),
    "right_eye": (120, 159, 20, 38),
    "nose": (142, 131, 40, 46),
    "mouth": (184, 127, 30, 70),
    "chin": (217, 130, 42, 110),
    "left_region": (128, 74, 128, 64),
    "point_eye": (120, 95, 2, 2),
    "point_mouth": (184, 127, 2, 2),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_boxes_cover_the_published_pixels(name: str) -> None:
    spec = load_configuration([f"region=[{name}]"]).region[name].model_dump()
    row, column, height, width = PUBLISHED[name]
    expected = np.zeros((256, 256), dtype=bool)
    top, left = row - height // 2, column - width // 2
    expected[top : top + height, left : left + width] = True
    np.testing.assert_array_equal(build_region(spec).mask(256), expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_box_is_the_same_on_a_finer_grid(factor: int) -> None:
    eyes = build_region(
        {"kind": "pixel_box", "grid": 256, "row": 120, "column": 128, "height": 20, "width": 115}
    )
    coarse = eyes.mask(256).repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(eyes.mask(256 * factor), coarse)


def test_fractions() -> None:
    mask = build_region(
        {"kind": "box", "top": 0.25, "left": 0.0, "bottom": 0.5, "right": 1.0}
    ).mask(8)
    assert mask.sum() == 16
    assert mask[2:4].all()


def test_polygon_covers_its_area() -> None:
    points = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
    mask = build_region({"kind": "polygon", "points": points}).mask(200)
    assert abs(mask.mean() - 0.32) < 0.01
    assert mask[30, 150]
    assert not mask[150, 30]


@pytest.mark.parametrize(("resolution", "low"), [(8, 0.3), (31, 0.3), (10, 0.25)])
def test_a_polygon_of_a_box_is_the_pixels_of_the_box(resolution: int, low: float) -> None:
    """At 10 px the corners are pixel centres."""
    high = 1 - low
    corners = [[low, low], [high, low], [high, high], [low, high]]
    box = {"kind": "box", "top": low, "left": low, "bottom": high, "right": high}
    expected = build_region(box).mask(resolution)
    for points in (corners, corners[::-1]):
        found = build_region({"kind": "polygon", "points": points}).mask(resolution)
        np.testing.assert_array_equal(found, expected)


def test_mask_image(tmp_path) -> None:
    picture = np.zeros((64, 64), dtype=np.uint8)
    picture[16:32, 8:24] = 255
    path = tmp_path / "a mask.png"
    Image.fromarray(picture).save(path)
    spec = {"kind": "mask", "path": str(path), "sha256": hash_of(path)}
    mask = build_region(spec).mask(32)
    expected = np.zeros((32, 32), dtype=bool)
    expected[8:16, 4:12] = True
    np.testing.assert_array_equal(mask, expected)
    Image.fromarray(255 - picture).save(path)
    with pytest.raises(LowRankGANError, match=r"a mask\.png: the mask has changed"):
        build_region(spec).mask(32)


def test_a_mask_that_is_no_picture_is_named(tmp_path) -> None:
    path = tmp_path / "mask.png"
    path.write_text("no picture")
    with pytest.raises(LowRankGANError, match=r"mask\.png: mask cannot be read"):
        build_region({"kind": "mask", "path": str(path)}).mask(8)


def test_union_and_complement() -> None:
    top = {"kind": "box", "top": 0.0, "left": 0.0, "bottom": 0.5, "right": 1.0}
    left = {"kind": "box", "top": 0.0, "left": 0.0, "bottom": 1.0, "right": 0.5}
    union = build_region({"kind": "union", "parts": [top, left]}).mask(4)
    assert union.sum() == 12
    rest = build_region({"kind": "complement", "of": {"kind": "union", "parts": [top, left]}}).mask(
        4
    )
    np.testing.assert_array_equal(rest, ~union)


def test_landmark_hull_follows_the_face() -> None:
    points = np.array([[0.2, 0.2], [0.4, 0.2], [0.4, 0.4], [0.2, 0.4], [0.9, 0.9]])
    region = build_region({"kind": "landmarks", "indices": [0, 1, 2, 3], "margin": 0.0})
    assert region.needs_landmarks
    mask = region.mask(100, points)
    assert abs(mask.mean() - 0.04) < 0.005
    assert mask[30, 30]
    moved = region.mask(100, points + 0.3)
    np.testing.assert_array_equal(moved[30:, 30:], mask[:-30, :-30])
    grown = build_region({"kind": "landmarks", "indices": [0, 1, 2, 3], "margin": 0.1})
    assert grown.mask(100, points).sum() > mask.sum()


@pytest.mark.parametrize("points", [None, np.full((5, 2), np.nan)])
def test_a_landmark_region_needs_a_face(points) -> None:
    region = build_region({"kind": "landmarks", "indices": [0, 1, 2], "margin": 0.0})
    with pytest.raises(LowRankGANError, match="no face was found"):
        region.mask(8, points)


def test_every_region_file_gives_a_mask() -> None:
    points = np.random.RandomState(0).rand(468, 2)
    names = sorted(path.stem for path in (CONF / "region").glob("*.yaml"))
    regions = load_configuration([f"region=[{','.join(names)}]"]).region
    assert sorted(regions) == names
    for name in names:
        mask = build_region(regions[name].model_dump()).mask(256, points)
        assert 0 < mask.sum() < mask.size, name
