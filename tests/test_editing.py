from collections.abc import Callable

import numpy as np
import pytest
import torch

from lowrankgan.editing import ChangeMatcher, move, offsets
from lowrankgan.errors import LowRankGANError

Function = Callable[[float], float]


def test_an_edit_moves_the_chosen_layers_only() -> None:
    ws, direction = torch.randn(2, 5, 4), torch.randn(3)  # a component is carried along
    (offset,) = offsets(direction[None], 5, [[1, 3]])
    moved = move(ws, offset, torch.tensor([2.0, -1.0]))
    torch.testing.assert_close(moved[..., 3], ws[..., 3])
    for layer in (0, 2, 4):
        torch.testing.assert_close(moved[:, layer], ws[:, layer])
    separate = torch.randn(2, 3)
    each = move(ws, offsets(separate, 5, [[1, 3]]), torch.tensor([2.0, -1.0]))
    torch.testing.assert_close(each[1, 1, :3], ws[1, 1, :3] - separate[1])
    for layer in (1, 3):
        torch.testing.assert_close(moved[0, layer, :3], ws[0, layer, :3] + 2 * direction)
        torch.testing.assert_close(moved[1, layer, :3], ws[1, layer, :3] - direction)


def test_every_group_has_an_offset_of_its_own() -> None:
    first, second = torch.randn(2, 3)
    (offset,) = offsets(torch.cat([first, second])[None], 5, [[1, 3], [4]])
    expected = torch.stack([torch.zeros(3), first, torch.zeros(3), first, second])
    torch.testing.assert_close(offset, expected)


class _Face:
    """Changes as known functions of the step; remembers what was rendered."""

    def __init__(self, mse: Function, lpips: Function = abs) -> None:
        self.rendered: list[float] = []
        self._functions = {"mse": mse, "lpips": lpips}

    def search(self, targets: dict[str, float], **settings: float) -> ChangeMatcher:
        named = {measure: (measure, value) for measure, value in targets.items()}
        matcher = ChangeMatcher(named, **settings)  # type: ignore[arg-type]
        while (step := matcher.propose()) is not None:
            self.rendered.append(step)
            matcher.observe(step, {name: float(f(step)) for name, f in self._functions.items()})
        return matcher


@pytest.mark.parametrize("power", [0.7, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("scale", [1e-4, 0.003, 2.0])
def test_the_step_reaches_the_target(power: float, scale: float) -> None:
    face = _Face(lambda step: scale * abs(step) ** power)
    matcher = face.search({"mse": 0.05}, tolerance=0.01, max_step=1e6)
    step, reached = matcher.match("mse")
    assert reached
    assert abs(scale * step**power / 0.05 - 1) <= 0.01


def test_of_both_signs_the_one_that_changes_more_is_searched() -> None:
    face = _Face(lambda step: 0.01 * step**2 * (1 if step > 0 else 4))
    step, reached = face.search({"mse": 0.04}, tolerance=0.01, max_step=50).match("mse")
    assert reached
    assert step == pytest.approx(-1, rel=0.01)
    assert sum(rendered > 0 for rendered in face.rendered) == 1


def test_signs_are_compared_where_they_differ() -> None:
    """A mouth that is shut: at small steps the sign that leads nowhere looks the better."""
    face = _Face(lambda step: 0.01 * step**2 if step > 0 else min(0.011 * step**2, 0.02))
    step, reached = face.search({"mse": 0.25}, tolerance=0.01, max_step=50).match("mse")
    assert reached
    assert step == pytest.approx(5, rel=0.01)
    assert len(face.rendered) <= 6


def test_the_sign_is_chosen_for_each_target() -> None:
    """Eyes that can be opened a little and shut altogether, the little a little sooner."""

    def change(step: float) -> float:
        return min(0.011 * step**2, 0.045) if step < 0 else 0.01 * step**2

    face = _Face(change, change)
    matcher = face.search({"mse": 0.02, "lpips": 0.2}, tolerance=0.01, max_step=50)
    assert matcher.match("mse") == (pytest.approx(-((0.02 / 0.011) ** 0.5), rel=0.01), True)
    assert matcher.match("lpips") == (pytest.approx(20**0.5, rel=0.01), True)


def test_a_saturating_change_is_found_by_few_renderings() -> None:
    face = _Face(lambda step: 0.1 * step**2 / (1 + step**2))
    step, reached = face.search({"mse": 0.06}, tolerance=0.02, max_step=50).match("mse")
    assert reached
    assert abs(step - 1.5**0.5) < 0.05
    assert len(face.rendered) <= 9


@pytest.mark.parametrize("length", np.geomspace(0.1, 20, 40))
def test_a_near_miss_on_a_steep_change_is_mended_by_few_renderings(length: float) -> None:
    def change(step: float) -> float:
        ratio = abs(step) / length
        return float(0.002 * ratio + 0.02 / (1 + np.exp(8 - 8 * ratio)))

    face = _Face(change)
    assert face.search({"mse": 0.01}, tolerance=0.02, max_step=60).match("mse")[1]
    assert len(face.rendered) <= 9


def test_a_direction_that_cannot_reach_has_failed_at_the_largest_step() -> None:
    face = _Face(lambda step: 0.001 * np.tanh(abs(step)))
    found = face.search({"mse": 0.05}, tolerance=0.02, max_step=10).match("mse")
    assert found == (10, False)
    assert max(face.rendered) == 10


def test_a_change_that_jumps_over_the_target_is_not_reached() -> None:
    face = _Face(lambda step: 0.01 if abs(step) < 3 else 0.1)
    step, reached = face.search({"mse": 0.05}, tolerance=0.02, max_step=10).match("mse")
    assert not reached
    assert step < 3


def test_a_search_ends_where_no_float_is_left_between_two_steps() -> None:
    matcher = ChangeMatcher({str(v): ("mse", v) for v in (0.05, 0.06, 0.07, 0.08)}, 0.02, 10)
    steps = list[float]()
    while (step := matcher.propose()) is not None:
        assert step not in steps
        steps.append(step)
        matcher.observe(step, {"mse": 0.01 if abs(step) < 3 else 0.1})
    assert not any(reached for _, reached in map(matcher.match, ("0.05", "0.08")))


@pytest.mark.parametrize("change", [np.nan, np.inf])
def test_a_change_that_is_no_number_is_refused(change: float) -> None:
    face = _Face(lambda step: 0.01 * step**2 if abs(step) < 2 else change)
    with pytest.raises(LowRankGANError, match=f"the change by mse at the step .* is {change}"):
        face.search({"mse": 0.5}, tolerance=0.01, max_step=50)


def test_a_second_measure_reuses_what_was_rendered() -> None:
    first = _Face(lambda step: 0.01 * step**2)
    first.search({"mse": 0.04}, tolerance=0.01, max_step=50)
    both = _Face(lambda step: 0.01 * step**2, lambda step: 0.1 * abs(step))
    matcher = both.search({"mse": 0.04, "lpips": 0.2}, tolerance=0.01, max_step=50)
    assert matcher.match("lpips")[1]
    assert both.rendered == first.rendered
