from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from safetensors.torch import save_file

from job import Job
from lowrankgan.figures.comparison import outside_change
from lowrankgan.figures.curves import inside_outside_curves
from lowrankgan.figures.differences import difference_maps
from lowrankgan.figures.generalization import generalization_matrix
from lowrankgan.figures.sensitivity import sensitivity_maps
from lowrankgan.figures.spectra import spectra
from lowrankgan.figures.strips import edit_strips
from lowrankgan.figures.style import PALETTE, measure_label, method_styles, save
from lowrankgan.figures.sweep import outside_by_rank
from picture import _Editor
from plot import read_arrays

RNG = np.random.default_rng(0)
MASK = np.zeros((8, 8), dtype=bool)
MASK[2:5, 1:7] = True


def pixels(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (*shape, 16, 16, 3), dtype=np.uint8)


def outlined(figure: Figure) -> list[int]:
    return [
        i
        for i, axes in enumerate(figure.axes)
        if any(isinstance(child, QuadContourSet) for child in axes.get_children())
    ]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_strips_hold_every_image_and_outline_the_originals() -> None:
    images = pixels(2, 3)
    missed = np.zeros((2, 3), dtype=bool)
    missed[1, :2] = True
    figure = edit_strips(images, ["-1", "original", "+1"], MASK, "Title", 1, missed)
    assert [len(axes.texts) for axes in figure.axes] == [0, 1, 0, 0, 0, 0]  # not the original
    shown = [axes.images[0].get_array() for axes in figure.axes]
    np.testing.assert_array_equal(np.stack(shown), images.swapaxes(0, 1).reshape(-1, 16, 16, 3))
    assert outlined(figure) == [2, 3]
    assert [axes.get_title() for axes in figure.axes] == ["-1", "", "original", "", "+1", ""]


def test_strips_take_a_mask_for_each_face_and_a_label_for_each_column() -> None:
    masks = np.stack([MASK, ~MASK])
    none = np.zeros((2, 3), dtype=bool)
    figure = edit_strips(pixels(2, 3), ["-1", "0", "+1"], masks, "Title", 1, none)
    assert outlined(figure) == [2, 3]
    with pytest.raises(ValueError, match="zip"):
        edit_strips(pixels(2, 3), ["-1", "0"], MASK, "Title", 1, none)


def test_differences_are_means_over_rgb_in_grey_levels_on_one_scale() -> None:
    original = np.full((1, 4, 4, 3), 100, dtype=np.uint8)
    edited = {"up": original.copy(), "down": original.copy()}
    edited["up"][0, 1, 1] = 130, 100, 100
    edited["down"][0, 2, 2] = 40, 40, 40
    missed = {"up": np.array([False]), "down": np.array([True])}
    figure = difference_maps(original, edited, MASK, "magma", "Title", missed)
    assert [axes.get_title() for axes in figure.axes if axes.texts] == ["down"]
    maps = [a.images[0] for a in figure.axes if a.images and a.images[0].get_array().ndim == 2]
    assert [shown.get_array().max() for shown in maps] == [10.0, 60.0]
    assert maps[0].norm is maps[1].norm
    assert len(outlined(figure)) == 3
    names = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert names == ["original", "up", "down"]


def test_pictures_take_steps_in_the_order_of_faces_and_know_what_missed(tmp_path: Path) -> None:
    edits = pd.DataFrame({"region": "eyes", "direction": 1, "target": "mse", "face": [1, 2, 3]})
    edits["step"], edits["reached"] = [-0.1, 0.2, 60.0], [True, True, False]
    edits.to_csv(tmp_path / "metrics.csv")
    editor = _Editor.__new__(_Editor)
    editor._job = Job({"target": "mse"}, {"metrics": [tmp_path]}, tmp_path)
    editor._region, editor._batches = (
        "eyes",
        [SimpleNamespace(seeds=[3]), SimpleNamespace(seeds=[1])],
    )
    found = editor.matched(0)
    assert found.to_dict() == {"step": {3: 60.0, 1: -0.1}, "missed": {3: True, 1: False}}


def test_pictures_show_the_first_faces_that_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"face": [7, 7, 9, 9, 11, 11]}).to_csv(tmp_path / "metrics.csv")
    asked = list[list[int]]()

    def faces_of(job: Job, chosen: list[int]) -> list[SimpleNamespace]:
        asked.append(chosen)
        blank = torch.zeros(1, 3, 2, 2)
        return [SimpleNamespace(originals=blank, masks={"eyes": blank[:, 0] > 0}) for _ in chosen]

    monkeypatch.setattr("picture.faces_of", faces_of)
    editor = _Editor(Job({"region": "eyes", "faces": 2}, {"metrics": [tmp_path]}, tmp_path))
    assert asked == [[7, 9]]
    assert editor.masks.shape == (2, 2, 2)


def test_an_edit_that_two_pictures_show_is_rendered_once(tmp_path: Path) -> None:
    rendered = []

    class Faces(SimpleNamespace):
        def directions(self, folder: Path) -> dict[str, torch.Tensor]:
            return {"eyes": torch.ones(2, 3, 4)}

        def edited(
            self, faces: list[int], offset: torch.Tensor, steps: list[float]
        ) -> torch.Tensor:
            rendered.append(steps)
            return torch.tensor(steps)[:, None, None, None].expand(-1, 3, 2, 2)

    editor = _Editor.__new__(_Editor)
    editor._job = Job({}, {"subspace": [tmp_path, tmp_path]}, tmp_path)
    editor._region, editor._rendered = "eyes", {}
    editor._batches = [Faces(seeds=[1, 2]), Faces(seeds=[3])]
    first = editor.edited(0, pd.Series({1: 0.2, 2: 0.4, 3: 0.6}))
    again = editor.edited(0, pd.Series({1: 0.2, 2: 0.8, 3: 0.6}))
    assert rendered == [[0.2, 0.4], [0.6], [0.8]]
    np.testing.assert_array_equal(first[:, 0, 0, 0], [51, 102, 153])
    np.testing.assert_array_equal(again[:, 0, 0, 0], [51, 204, 153])
    steps = pd.Series({1: 0.2, 2: 0.4, 3: 0.6})
    for method, number in ((1, 1), (0, 2)):
        rendered.clear()
        editor.edited(method, steps, number)
        assert rendered == [[0.2, 0.4], [0.6]]


def test_a_value_that_nothing_reached_leaves_its_line_without_a_name() -> None:
    table = pd.DataFrame({"region": "eyes", "name": ["ours", "ours", "cut"], "kept": [1, 2, 1]})
    table["mean"], table["low"], table["high"] = [0.1, np.nan, np.nan], np.nan, np.nan
    figure = outside_by_rank(table, "mse_outside")
    assert texts(figure) == ["ours"]


def test_sensitivity_names_its_regions() -> None:
    maps = RNG.random((2, 8, 8))
    masks = {"left_eye": np.stack([MASK] * 2), "chin": np.stack([~MASK] * 2)}
    figure = sensitivity_maps(pixels(2), maps, masks, "magma")
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), maps[0])
    assert texts(figure) == ["left eye", "chin"] * 2
    assert outlined(figure) == [1, 3]


def test_spectra_are_normalised_and_flag_ranks_on_the_curve() -> None:
    values = {"eyes": {"inside": np.array([1.0, 4.0, 2.0]), "outside": np.array([9.0, 3.0, 1.0])}}
    figure = spectra(values, {"eyes": {"inside": {"energy 0.98": 2}, "outside": {"rank 3": 3}}})
    lines = figure.axes[0].lines
    np.testing.assert_allclose(lines[0].get_ydata(), [1.0, 0.5, 0.25])
    np.testing.assert_allclose(lines[1].get_ydata(), [1.0, 1 / 3, 1 / 9])
    marks = [line.get_xydata()[0] for line in lines if line.get_marker() == "o"]
    np.testing.assert_allclose(marks, [[2, 0.5], [3, 1 / 9]])
    assert {"energy 0.98: 2", "rank 3", "inside", "outside"} == set(texts(figure))


@pytest.fixture
def curves() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (
                region,
                method,
                face,
                step,
                abs(step) * (1 + face),
                scale * abs(step) * (1 + face) ** 2,
            )
            for region in ("eyes", "mouth")
            for method, scale in (("ours", 0.1), ("theirs", 10.0))
            for face in range(5)
            for step in (-2.0, -1.0, 0.0, 1.0, 2.0)
        ],
        columns=["region", "method", "face", "step", "inside", "outside"],
    )


def test_curves_take_both_signs_of_a_step_together(curves: pd.DataFrame) -> None:
    backwards = curves["step"] < 0
    curves.loc[backwards, "outside"] *= 1000
    figure = inside_outside_curves(curves[curves["method"] == "ours"], "mse")
    # Five faces each way: the middle is between the last forward and the first backward value.
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [51.25, 102.5])


def test_curves_are_medians_over_faces_with_quartiles(curves: pd.DataFrame) -> None:
    figure = inside_outside_curves(curves, "mse")
    assert [axes.get_title("left") for axes in figure.axes] == ["eyes", "mouth"]
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["ours"].get_xdata(), [3.0, 6.0])
    np.testing.assert_allclose(lines["ours"].get_ydata(), [0.9, 1.8])
    np.testing.assert_allclose(lines["theirs"].get_ydata(), [90.0, 180.0])
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.4, 3.2])
    assert {"ours", "theirs"} <= set(texts(figure))
    assert figure.get_supxlabel() == "MSE inside the region"


@pytest.fixture
def faces() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (
                "eyes",
                source,
                face,
                (source, face) != ("average", 1),
                0.001 * (1 + face + len(source)),
            )
            for source in ("seed 0", "average")
            for face in range(3)
        ],
        columns=["region", "source", "face", "reached", "mse_outside"],
    )


@pytest.fixture
def means() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "region": ["eyes"] * 2,
            "source": ["average", "seed 0"],
            "mean": [0.009, 0.008],
            "low": [0.008, 0.007],
            "high": [0.01, 0.009],
        }
    )


def test_matrix_marks_the_faces_that_did_not_reach(
    faces: pd.DataFrame, means: pd.DataFrame
) -> None:
    figure = generalization_matrix(faces, "mse_outside", means)
    axes = figure.axes[0]
    expected = [[7.0, 8.0, 9.0], [8.0, np.nan, 10.0]]
    np.testing.assert_allclose(axes.images[0].get_array().filled(np.nan) * 1000, expected)
    assert [patch.get_xy() for patch in axes.patches] == [(0.5, 0.5)]
    assert [text.get_text() for text in axes.texts] == ["7.0", "8.0", "9.0", "8.0", "10"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["seed 0", "average"]
    assert figure.axes[1].get_legend().get_texts()[0].get_text() == "target not reached"


def test_matrix_draws_means_in_the_order_of_its_rows(
    faces: pd.DataFrame, means: pd.DataFrame
) -> None:
    figure = generalization_matrix(faces, "mse_outside", means)
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_xydata(), [[0.008, 0], [0.009, 1]])


def test_a_matrix_of_many_faces_keeps_its_width_and_names_some(
    faces: pd.DataFrame, means: pd.DataFrame
) -> None:
    one = faces[faces["face"] == faces["face"].iloc[0]]
    many = pd.concat(one.assign(face=face) for face in range(1000))
    figure = generalization_matrix(many, "mse_outside", means)
    assert figure.get_size_inches()[0] < 14
    named = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert named[:2] == ["0", "25"] and len(named) == 40
    assert not len(figure.axes[0].get_xticks(minor=True))
    few = generalization_matrix(faces, "mse_outside", means)
    assert len(few.axes[0].get_xticks(minor=True)) == faces["face"].nunique() + 1


def test_matrix_without_any_reached_face_can_be_drawn(
    faces: pd.DataFrame, means: pd.DataFrame, tmp_path: Path
) -> None:
    none = means.assign(mean=np.nan, low=np.nan, high=np.nan)
    figure = generalization_matrix(faces.assign(reached=False), "mse_outside", none)
    save(figure, tmp_path / "figure")
    assert len(figure.axes[0].patches) == 6


@pytest.fixture
def summary() -> pd.DataFrame:
    return pd.DataFrame(
        [
            ("eyes", "ours", 1, 0.01, 0.005, 0.02, 1.0),
            ("eyes", "ours", 2, 0.02, 0.01, 0.03, 0.875),
            ("eyes", "theirs", 1, np.nan, np.nan, np.nan, 0.0),
            ("mouth", "ours", 1, 0.03, 0.02, 0.05, 1.0),
        ],
        columns=["region", "method", "direction", "mean", "low", "high", "reached"],
    )


def test_plots_leave_the_matrices_of_a_step_unread(tmp_path: Path) -> None:
    """NumPy has no bfloat16, so that to read one would fail."""
    matrix = torch.zeros(2, 2, dtype=torch.bfloat16)
    arrays = {"image": torch.ones(3), "mask/eyes": torch.zeros(2), "inside/eyes": matrix}
    save_file(arrays, tmp_path / "gram.safetensors")
    found = read_arrays(tmp_path / "gram.safetensors", ("image", "mask/"))
    assert set(found) == {"image", "mask/eyes"}
    np.testing.assert_array_equal(found["image"], np.ones(3))


def test_comparison_holds_means_intervals_and_shares(summary: pd.DataFrame) -> None:
    figure = outside_change(summary, "mse_outside")
    eyes, mouth = figure.axes
    np.testing.assert_allclose([line.get_xdata()[0] for line in eyes.lines], [0.01, 0.02, np.nan])
    heights = [line.get_ydata()[0] for line in eyes.lines]
    assert heights == sorted(heights)  # downwards: the direction, then the method
    np.testing.assert_allclose(eyes.collections[0].get_segments()[0][:, 0], [0.005, 0.02])
    assert [text.get_text() for text in eyes.texts] == ["reached", "100%", "87%", "0%"]
    assert [line.get_xdata()[0] for line in mouth.lines] == [0.03]
    assert [label.get_text() for label in eyes.get_yticklabels()] == ["ours", "theirs"]
    assert len(figure.legends[0].get_texts()) == 2


def test_comparison_refuses_two_values_for_one_place(summary: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="unique"):
        outside_change(pd.concat([summary, summary]), "mse_outside")


def test_methods_keep_their_look_whatever_the_figure(curves: pd.DataFrame) -> None:
    styles = method_styles(["ours", "theirs", "ours"])
    assert [style.colour for style in styles.values()] == list(PALETTE[:2])
    many = method_styles(map(str, range(50)))
    assert len(set(many.values())) == 50
    lines = {line.get_label(): line for line in inside_outside_curves(curves, "mse").axes[0].lines}
    assert to_hex(lines["theirs"].get_color()) == styles["theirs"].colour.lower()


def test_measures_have_names() -> None:
    assert measure_label("lpips_vgg_outside") == "LPIPS (VGG) outside the region"
    assert measure_label("lpips_alex_composite") == "composite LPIPS (AlexNet)"
    assert measure_label("eye_opening") == "eye opening"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: edit_strips(
            np.full((1, 3, 8, 8, 3), 9, np.uint8),
            ["a", "b", "c"],
            MASK,
            "T",
            1,
            np.ones((1, 3), dtype=bool),
        ),
        lambda: spectra({"eyes": {"inside": np.ones(4)}}, {"eyes": {"inside": {"energy": 4}}}),
    ],
)
def test_same_input_gives_same_bytes(draw: Callable[[], Figure], tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save(draw(), tmp_path / folder / "eyes_0.98")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["eyes_0.98.pdf", "eyes_0.98.png"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
