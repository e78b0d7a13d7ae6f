"""The step that finds directions: drawn towards a prior, and ordered by what their edits leaked."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

import factorize
from job import Job
from lowrankgan.shrinkage import cross_validated_weight, shrink
from lowrankgan.subspace import rayleigh_optimum, restricted_optimum
from subspace import main


def test_measured_directions_are_ordered_and_others_follow(tmp_path: Path) -> None:
    found, measured, output = (tmp_path / name for name in ("found", "measured", "output"))
    for folder in (found, measured, output):
        folder.mkdir()
    rows = np.eye(5)
    save_file({"eyes": rows, "mouth": rows}, found / "directions.safetensors")
    leaks = {"eyes": (0.3, 0.1, 0.2), "mouth": (0.1, 0.2, 0.3)}
    table = [
        {"region": region, "direction": n, "face": face, "target": "mse", "reached": True}
        | {"mse_outside": leak * face, "lpips_alex_outside": 1.0}
        for region, values in leaks.items()
        for n, leak in enumerate(values, start=1)
        for face in (1, 2)
    ]
    pd.DataFrame(table).to_csv(measured / "metrics.csv", index=False)
    settings = {"solver": "ranked", "leaks": {"mse": "mse_outside"}, "layers": "all"}
    inputs = {"subspace": [found], "metrics": [measured]}
    main(Job(settings | {"directions": 4}, inputs, output))
    directions = load_file(output / "directions.safetensors")
    np.testing.assert_array_equal(directions["eyes"], rows[[1, 2, 0, 3]])
    np.testing.assert_array_equal(directions["mouth"], rows[:4])
    main(Job(settings | {"directions": 1}, inputs, output))
    np.testing.assert_array_equal(load_file(output / "directions.safetensors")["eyes"], rows[[1]])


def test_several_images_choose_the_weight_of_a_prior_one_has_it_given_and_some_have_none(
    tmp_path: Path,
) -> None:
    seeded = np.random.default_rng(0)
    folders = [tmp_path / name for name in ("first", "second", "styles", "output")]
    pairs = []
    for folder in folders:
        folder.mkdir()
        rows = seeded.standard_normal((2, 7, 6))
        pairs.append((rows[0].T @ rows[0], rows[1].T @ rows[1]))
        arrays = {"inside/eyes": pairs[-1][0], "outside/eyes": pairs[-1][1]}
        save_file(arrays, folder / "gram.safetensors", {"groups": "[[0, 1]]"})
    *images, styles, output = folders
    inputs = {"jacobian": images, "styles": [styles]}
    settings = {"solver": "rayleigh", "ridge": 0.1, "regions": ["eyes"], "layers": [0, 1]}
    settings |= {"directions": 2, "prior": [0.01, 0.3, 0.99]}
    weight = cross_validated_weight(pairs[:2], pairs[2], settings["prior"], 0.1)
    for prior, used, expected in (
        (settings["prior"], images, weight),
        ([0.2], images[:1], 0.2),
        (None, images, 0.0),
    ):
        main(Job(settings | {"prior": prior}, inputs | {"jacobian": used}, output))
        means = (np.mean(side, axis=0) for side in zip(*pairs[: len(used)], strict=True))
        drawn = (shrink(gram, of, expected) for gram, of in zip(means, pairs[2], strict=True))
        found = load_file(output / "directions.safetensors")["eyes"]
        np.testing.assert_allclose(found, rayleigh_optimum(*drawn, 0.1, 2), atol=1e-9)


def test_leading_directions_are_combined_by_what_they_do_to_further_faces(tmp_path: Path) -> None:
    seeded = np.random.default_rng(0)
    image, found, further, output = (tmp_path / name for name in ("image", "found", "more", "out"))
    rows = seeded.standard_normal((4, 6))
    grams = []
    for folder, size in ((image, 6), (further, 4)):
        folder.mkdir()
        factors = seeded.standard_normal((2, size, size))
        grams.append([factor.T @ factor for factor in factors])
        arrays = {
            f"{side}/eyes": gram
            for side, gram in zip(("inside", "outside"), grams[-1], strict=True)
        }
        save_file(arrays, folder / "gram.safetensors", {"groups": "[[0, 1]]"})
    for folder in (found, output):
        folder.mkdir()
    save_file({"eyes": rows}, found / "directions.safetensors")
    settings = {"solver": "rayleigh", "ridge": 0.1, "regions": ["eyes"], "layers": [0, 1]}
    inputs = {"jacobian": [image], "subspace": [found], "restrict": [further]}
    main(Job(settings | {"directions": 2, "share": 0.75}, inputs, output))
    means = (
        0.25 * rows @ gram @ rows.T + 0.75 * of_more for gram, of_more in zip(*grams, strict=True)
    )
    price = 0.1 * np.trace(grams[0][1]) / 6
    expected = restricted_optimum(rows, *means, price, 2)
    np.testing.assert_allclose(load_file(output / "directions.safetensors")["eyes"], expected)


@pytest.mark.parametrize(
    ("solver", "axis"),
    [
        ("unprojected", [0, 1, 0, 0, 1, 0]),  # what changes the region most
        ("projected", [0, 0, 0, 0, 1, 0]),  # of that, what leaves the rest alone
        ("constrained", [0, 0, 0, 0, 0, 1]),  # of what leaves it alone, what changes most
    ],
)
def test_the_null_space_is_that_of_the_rest(solver: str, axis: list[int], tmp_path: Path) -> None:
    """Of two images: axes 0 and 1 change the rest of one of them, axis 2 that of the other."""
    both = np.array([0, 1, 0, 0, 1, 0]) / 2**0.5
    inside = 9 * np.outer(both, both) + np.diag([0, 0, 8, 1, 0, 6])
    *images, factors, output = (tmp_path / name for name in ("first", "second", "factors", "out"))
    for folder in (*images, factors, output):
        folder.mkdir()
    for folder, seen in zip(images, ([10.0, 10, 0, 0, 0, 0], [0.0, 0, 10, 0, 0, 0]), strict=True):
        arrays = {"inside/eyes": inside, "outside/eyes": np.diag(seen)}
        save_file(arrays, folder / "gram.safetensors", {"groups": "[[0, 1]]"})
    settings = {"regions": ["eyes"], "rule": "rank", "value": 3}
    factorize.main(Job(settings, {"jacobian": images}, factors))
    settings = {"solver": solver, "regions": ["eyes"], "layers": [0, 1]}
    settings |= {"directions": 1, "relaxation": 0}
    main(Job(settings, {"jacobian": images, "factorize": [factors]}, output))
    (found,) = load_file(output / "directions.safetensors")["eyes"]
    expected = np.array(axis) / np.linalg.norm(axis)
    np.testing.assert_allclose(np.abs(found @ expected), 1)
