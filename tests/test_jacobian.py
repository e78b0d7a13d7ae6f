import copy
import logging
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from lowrankgan import linearization
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.gram import Sensitivity, gram_matrices
from lowrankgan.jacobian import (
    GroupedJacobian,
    Jacobian,
    RestrictedJacobian,
    jacobian,
    moved_image,
)
from lowrankgan.layer_groups import covering, join
from tests.test_mobilestylegan import small_mobilestylegan


def _differences(generator: Generator, w: Tensor, layers: list[int], resolution: int) -> Tensor:
    """Central differences of the rendered image by each component of w, in float64."""
    step, moves = 1e-6, torch.zeros(generator.num_layers, 1, dtype=w.dtype)
    moves[layers] = 1.0
    columns = []
    for axis in torch.eye(len(w), dtype=w.dtype):
        ws = generator.broadcast(w[None])
        forth = generator.render(ws + step * moves * axis, resolution)
        back = generator.render(ws - step * moves * axis, resolution)
        columns.append((forth - back)[0] / (2 * step))
    return torch.stack(columns)


@pytest.mark.parametrize("layers", [list(range(8)), [2, 3], [7]])
def test_mobilestylegan_jacobian_equals_differences(layers: list[int]) -> None:
    generator = small_mobilestylegan()
    w = torch.randn(8, dtype=torch.float64)
    found = jacobian(generator, generator.broadcast(w[None])[0], layers, 16)
    expected = _differences(generator, w, layers, 16)
    assert (found - expected).norm() < 1e-6 * expected.norm()


def test_dcgan_jacobian_equals_differences(dcgan: Generator) -> None:
    generator = copy.deepcopy(dcgan).double()
    w = torch.randn(100, dtype=torch.float64)
    found = jacobian(generator, generator.broadcast(w[None])[0], [0], 32)
    expected = _differences(generator, w, [0], 32)
    assert (found - expected).norm() < 1e-6 * expected.norm()


def test_chunks_agree() -> None:
    generator = small_mobilestylegan()
    w = torch.randn(8, dtype=torch.float64)
    one, some, all_ = (
        jacobian(generator, generator.broadcast(w[None])[0], range(8), 16, chunk=c)
        for c in (1, 3, 8)
    )
    torch.testing.assert_close(one, all_)
    torch.testing.assert_close(some, all_)


def test_full_size_column_equals_differences(mobilestylegan: Generator) -> None:
    w = mobilestylegan.mapping(torch.from_numpy(np.random.RandomState(1).randn(1, 512)).float())[0]
    tangent = torch.eye(512)[17]

    def image(v: Tensor) -> Tensor:
        return mobilestylegan.render(mobilestylegan.broadcast(v[None]), 64)

    _, derivative = torch.func.jvp(image, (w,), (tangent,))
    difference = (image(w + 0.02 * tangent) - image(w - 0.02 * tangent)) / 0.04
    # In float32 a difference is no better than about 1 %.
    assert (derivative - difference).norm() < 0.03 * derivative.norm()


class _InPlace(Generator):
    """A generator that does what functional code must not: it writes into a slice."""

    def __init__(self) -> None:
        super().__init__()
        self.z_dim = self.w_dim = 4
        self.layer_resolutions, self.resolution = (8,), 8
        self.register_buffer("w_mean", torch.zeros(4, dtype=torch.float64))

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        return z

    def style_weights(self) -> list[Tensor]:
        return []

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        (w,) = slots
        x = w.sin().repeat(1, 48).reshape(-1, 3, 8, 8)
        x[:, :, :4] = x[:, :, 4:].square() * w[:, :1, None, None]
        return x


def test_a_generator_that_writes_in_place_is_still_differentiated() -> None:
    generator, w = _InPlace(), torch.randn(4, dtype=torch.float64)
    found = jacobian(generator, generator.broadcast(w[None])[0], [0], 8)
    expected = _differences(generator, w, [0], 8)
    assert (found - expected).norm() < 1e-6 * expected.norm()


def test_out_of_memory_halves_the_chunk(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    generator, w = small_mobilestylegan(), torch.randn(8, dtype=torch.float64)
    expected = jacobian(generator, generator.broadcast(w[None])[0], range(8), 16, chunk=8)

    def vmap(function, *args):
        def call(tangents: Tensor) -> Tensor:
            if len(tangents) > 2:
                raise torch.OutOfMemoryError("out of memory")
            return torch.func.vmap(function, *args)(tangents)

        return call

    monkeypatch.setattr(linearization, "vmap", vmap)
    with caplog.at_level(logging.WARNING):
        found = jacobian(generator, generator.broadcast(w[None])[0], range(8), 16, chunk=8)
    torch.testing.assert_close(found, expected)
    assert "going on with 2 tangents" in caplog.text


def test_memory_for_not_even_one_tangent_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linearization.Derivative, "__call__", lambda *_: torch.empty(1 << 52))
    with pytest.raises(LowRankGANError, match=r"one tangent .* asked for 18014398509481984 bytes"):
        jacobian(
            small_mobilestylegan(), torch.randn(8, 8, dtype=torch.float64), range(8), 16, chunk=4
        )


def test_values_that_are_not_finite_are_refused() -> None:
    generator = small_mobilestylegan()
    generator.to_rgb.weight[0] = float("nan")
    with pytest.raises(LowRankGANError, match="not finite"):
        jacobian(generator, torch.randn(8, 8, dtype=torch.float64), range(8), 16)


def _masks() -> dict[str, np.ndarray]:
    masks = np.zeros((2, 6, 6), dtype=bool)
    masks[0, 1:3, 2:5], masks[1, 4:, :] = True, True
    return {"first": masks[0], "second": masks[1]}


def test_gram_matrices_are_those_of_the_definition() -> None:
    columns = torch.randn(5, 3, 6, 6)
    for name, (inside, outside) in gram_matrices(columns, _masks()).items():
        for gram, mask in ((inside, _masks()[name]), (outside, ~_masks()[name])):
            rows = columns.double().numpy()[:, :, mask].reshape(5, -1)
            np.testing.assert_allclose(gram, rows @ rows.T / rows.shape[1], rtol=1e-12, atol=1e-14)
            assert gram.dtype == np.float64
            np.testing.assert_array_equal(gram, gram.T)


def test_gram_matrix_predicts_the_change_of_the_image() -> None:
    generator, w = small_mobilestylegan(), torch.randn(8, dtype=torch.float64)
    mask = np.zeros((16, 16), dtype=bool)
    mask[4:9, 3:12] = True
    columns = jacobian(generator, generator.broadcast(w[None])[0], range(8), 16)
    inside, _ = gram_matrices(columns, {"box": mask})["box"]
    direction = torch.randn(8, dtype=torch.float64)
    step = 1e-5
    images = [
        generator.render(generator.broadcast(v[None]), 16)[0][:, torch.from_numpy(mask)]
        for v in (w, w + step * direction)
    ]
    change = (images[1] - images[0]).square().mean() / step**2
    assert abs(direction @ torch.from_numpy(inside) @ direction / change - 1) < 1e-3


@pytest.mark.parametrize("value", [True, False])
def test_a_region_without_inside_or_outside_is_refused(value: bool) -> None:
    with pytest.raises(LowRankGANError, match="region 'all' covers"):
        gram_matrices(torch.randn(2, 3, 4, 4), {"all": np.full((4, 4), value)})


@pytest.mark.parametrize(("held", "computed"), [(None, 8), (8, 8), (4, 20), (2, 36)])
def test_a_jacobian_too_large_to_hold_gives_the_same_matrices(held: int, computed: int) -> None:
    generator, w = small_mobilestylegan(), torch.randn(8, dtype=torch.float64)
    columns = _Counted(generator, generator.broadcast(w[None])[0], range(8), 6)
    seen: list[Tensor] = []
    found = gram_matrices(columns, _masks(), held, seen.append)
    assert columns.computed == computed
    assert columns.largest <= (held or 8)
    torch.testing.assert_close(torch.cat(seen), columns[:])
    for name, (inside, outside) in gram_matrices(columns[:], _masks()).items():
        np.testing.assert_allclose(found[name][0], inside, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found[name][1], outside, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(found[name][1], found[name][1].T)


class _Counted(Jacobian):
    """Remembers how many columns it computed, and the most at once."""

    computed = largest = 0

    def __getitem__(self, chosen: slice) -> Tensor:
        columns = super().__getitem__(chosen)
        self.computed += len(columns)
        self.largest = max(self.largest, len(columns))
        return columns


def test_layers_before_the_first_that_moves_cost_nothing() -> None:
    columns = Jacobian(small_mobilestylegan(), torch.randn(8, 8, dtype=torch.float64), [6, 7], 16)
    with FlopCounterMode(display=False) as counter:
        columns[:]
    # The last convolution at 16 px, depthwise and pointwise, and the output, with their styles.
    tangent = 16 * 16 * (9 * 16 + 16 * 16 + 3 * 16) + 2 * 8 * 16
    assert counter.get_total_flops() == 2 * 8 * tangent


def test_groups_of_layers_stand_side_by_side() -> None:
    generator, ws = small_mobilestylegan(), torch.randn(8, 8, dtype=torch.float64)
    groups = [[1, 2], [5], [6, 7]]
    alone = torch.cat([jacobian(generator, ws, group, 16) for group in groups])
    together = GroupedJacobian(generator, ws, groups, 16)
    assert together.shape == alone.shape
    torch.testing.assert_close(together[:], alone)
    torch.testing.assert_close(together[3:18], alone[3:18])
    torch.testing.assert_close(together[8:16], alone[8:16])
    torch.testing.assert_close(together[9:12], alone[9:12])
    # One offset for all groups moves the image by the sum of theirs.
    whole = jacobian(generator, ws, [1, 2, 5, 6, 7], 16)
    torch.testing.assert_close(together[:].unflatten(0, (3, 8)).sum(0), whole)
    masks = {"corner": np.indices((16, 16)).sum(0) < 9}
    of_groups, of_whole = (gram_matrices(j, masks)["corner"] for j in (together, whole))
    for grouped, alike in zip(of_groups, of_whole, strict=True):
        joined = join(grouped, groups, [1, 2, 5, 6, 7])
        np.testing.assert_allclose(joined, alike, atol=1e-12 * alike.max())
        np.testing.assert_array_equal(joined, joined.T)
    # Some of the groups serve an edit of their layers alone.
    whole = jacobian(generator, ws, [1, 2, 6, 7], 16)
    joined = join(of_groups[0], groups, [1, 2, 6, 7])
    alike = gram_matrices(whole, masks)["corner"][0]
    np.testing.assert_allclose(joined, alike, atol=1e-12 * alike.max())
    assert not covering(groups, [1, 5, 6, 7]) and not covering(groups, [1, 2, 3])


def test_along_directions_it_is_their_combination_of_columns() -> None:
    generator, ws = small_mobilestylegan(), torch.randn(8, 8, dtype=torch.float64)
    groups, rows = [[1, 2], [5], [6, 7]], torch.randn(5, 24, dtype=torch.float64)
    whole = GroupedJacobian(generator, ws, groups, 16)
    image = linearization.Linearization(moved_image(generator, groups, 16), rows[0].shape)
    along = RestrictedJacobian(image, ws, rows)
    expected = torch.einsum("kd,dchw->kchw", rows, whole[:])
    torch.testing.assert_close(along[:], expected)
    torch.testing.assert_close(along[2:4], expected[2:4])
    masks = {"corner": np.indices((16, 16)).sum(0) < 9}
    pairs = zip(*(gram_matrices(j, masks)["corner"] for j in (along, whole)), strict=True)
    for found, gram in pairs:
        np.testing.assert_allclose(found, rows.numpy() @ gram @ rows.numpy().T, rtol=1e-9)


def test_sensitivity_is_the_root_mean_square() -> None:
    columns = torch.randn(5, 3, 4, 4)
    expected = np.sqrt((columns.numpy() ** 2).mean((0, 1)))
    sensitivity = Sensitivity(4)
    for block in columns.split(2):
        sensitivity.add(block)
    np.testing.assert_allclose(sensitivity.map(), expected, rtol=1e-5)
