from collections.abc import Callable

import numpy as np
import pytest
import torch

from lowrankgan.editing import ChangeMatcher, move

Function = Callable[[float], float]


def test_an_edit_moves_the_chosen_layers_only() -> None:
    ws, direction = torch.randn(2, 5, 3), torch.randn(3)
    moved = move(ws, direction, torch.tensor([2.0, -1.0]), [1, 3])
    for layer in (0, 2, 4):
        torch.testing.assert_close(moved[:, layer], ws[:, layer])
    for layer in (1, 3):
        torch.testing.assert_close(moved[0, layer], ws[0, layer] + 2 * direction)
        torch.testing.assert_close(moved[1, layer], ws[1, layer] - direction)


class _Face:
    """Changes as known functions of the step; remembers what was rendered."""

    def __init__(self, mse: Function, lpips: Function = float) -> None:
        self.rendered: list[float] = []
        self._functions = {"mse": mse, "lpips": lpips}

    def __call__(self, step: float) -> dict[str, float]:
        self.rendered.append(step)
        return {name: float(function(step)) for name, function in self._functions.items()}


@pytest.mark.parametrize("power", [0.7, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("scale", [1e-4, 0.003, 2.0])
def test_the_step_reaches_the_target(power: float, scale: float) -> None:
    face = _Face(lambda step: scale * step**power)
    step, reached = ChangeMatcher(face, tolerance=0.01, max_step=1e6).match("mse", 0.05)
    assert reached
    assert abs(scale * step**power / 0.05 - 1) <= 0.01


def test_a_saturating_change_is_found_by_few_renderings() -> None:
    face = _Face(lambda step: 0.1 * step**2 / (1 + step**2))
    step, reached = ChangeMatcher(face, tolerance=0.02, max_step=50).match("mse", 0.06)
    assert reached
    assert abs(step - 1.5**0.5) < 0.05
    assert len(face.rendered) <= 8


def test_a_direction_that_cannot_reach_has_failed_at_the_largest_step() -> None:
    face = _Face(lambda step: 0.001 * np.tanh(step))
    assert ChangeMatcher(face, tolerance=0.02, max_step=10).match("mse", 0.05) == (10, False)
    assert max(face.rendered) == 10


def test_a_change_that_jumps_over_the_target_is_not_reached() -> None:
    face = _Face(lambda step: 0.01 if step < 3 else 0.1)
    step, reached = ChangeMatcher(face, tolerance=0.02, max_step=10).match("mse", 0.05)
    assert not reached
    assert step < 3


def test_a_second_measure_reuses_what_was_rendered() -> None:
    face = _Face(lambda step: 0.01 * step**2, lambda step: 0.1 * step)
    matcher = ChangeMatcher(face, tolerance=0.01, max_step=50)
    matcher.match("mse", 0.04)
    before = len(face.rendered)
    assert matcher.match("lpips", 0.2)[1]
    assert len(face.rendered) == before
