import numpy as np
import pytest
import torch

from lowrankgan.editing import ChangeMatcher, move


def test_an_edit_moves_the_chosen_layers_only() -> None:
    ws, direction = torch.randn(2, 5, 3), torch.randn(3)
    moved = move(ws, direction, torch.tensor([2.0, -1.0]), [1, 3])
    for layer in (0, 2, 4):
        torch.testing.assert_close(moved[:, layer], ws[:, layer])
    for layer in (1, 3):
        torch.testing.assert_close(moved[0, layer], ws[0, layer] + 2 * direction)
        torch.testing.assert_close(moved[1, layer], ws[1, layer] - direction)


class _Faces:
    """Changes as known functions of the step; counts what is rendered."""

    def __init__(self, mse, lpips=lambda face, step: step) -> None:
        self.rendered: list[tuple[int, float]] = []
        self._functions = {"mse": mse, "lpips": lpips}

    def __call__(self, faces, steps):
        self.rendered += list(zip(faces.tolist(), steps.tolist(), strict=True))
        return {
            name: np.array([f(int(i), s) for i, s in zip(faces, steps, strict=True)])
            for name, f in self._functions.items()
        }


@pytest.mark.parametrize("power", [0.7, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("scale", [1e-4, 0.003, 2.0])
def test_steps_reach_the_target(power: float, scale: float) -> None:
    faces = _Faces(lambda face, step: scale * (1 + face) * step**power)
    match = ChangeMatcher(faces, 3, tolerance=0.01, max_step=1e6).match("mse", 0.05)
    assert match.reached.all()
    reached = scale * (1 + np.arange(3)) * match.steps**power
    np.testing.assert_allclose(reached, 0.05, rtol=0.01)


def test_a_saturating_change_is_found_by_few_renderings() -> None:
    faces = _Faces(lambda face, step: 0.1 * step**2 / (1 + step**2))
    match = ChangeMatcher(faces, 1, tolerance=0.02, max_step=50).match("mse", 0.06)
    assert match.reached.all()
    assert abs(match.steps[0] - 1.5**0.5) < 0.05
    assert len(faces.rendered) <= 8


def test_a_direction_that_cannot_reach_has_failed_at_the_largest_step() -> None:
    faces = _Faces(lambda face, step: 0.1 if face == 0 else 0.001 * np.tanh(step))
    matcher = ChangeMatcher(faces, 2, tolerance=0.02, max_step=10)
    match = matcher.match("mse", 0.05)
    assert not match.reached.any()
    assert match.steps[1] == 10
    assert max(step for _, step in faces.rendered) <= 10


def test_a_second_measure_reuses_what_was_rendered() -> None:
    faces = _Faces(lambda face, step: 0.01 * step**2, lambda face, step: 0.1 * step)
    matcher = ChangeMatcher(faces, 2, tolerance=0.01, max_step=50)
    matcher.match("mse", 0.04)
    before = len(faces.rendered)
    again = matcher.match("lpips", 0.2)
    assert again.reached.all()
    assert len(faces.rendered) == before
