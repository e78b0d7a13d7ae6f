"""Edits of W+ (paper, section 3) and the steps at which different directions are comparable."""

from collections.abc import Callable, Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

_EXPONENTS = (0.25, 4.0)  # of change against step: MSE grows with about 2, LPIPS with about 1
_MAX_GROWTH = 4.0  # of the step in one go, for an extrapolation can be far off
_MAX_EVALUATIONS = 20


def move(ws: Tensor, direction: Tensor, steps: Tensor, layers: Sequence[int]) -> Tensor:
    """Move the w of some layers: w + alpha p.

    Args:
        ws: [N, L, D] W+ latents.
        direction: [w_dim] unit vector p; components that are carried along stay.
        steps: [N] step alpha of each.
        layers: slots that move.

    Returns:
        [N, L, D], a new tensor.
    """
    offset = ws.new_zeros(ws.shape[1], 1)
    offset[list(layers)] = 1.0
    carried = ws.shape[-1] - len(direction)
    return ws + steps[:, None, None] * offset * F.pad(direction, (0, carried))


class ChangeMatcher:
    """Finds the step at which the edit of a face changes its region by a target.

    A search in logarithms: change grows like a power of the step, so the secant of (log step,
    log change) converges in three or four renderings. A direction that does not reach the target
    up to `max_step` has failed on that face, and is reported so.

    Args:
        measure: step to the change by every measure; one call renders the face once.
        tolerance: relative error of the change that counts as reached.
        max_step: largest step that is tried.
        first_step: where to begin; a neighbouring face's step saves renderings.
    """

    def __init__(
        self,
        measure: Callable[[float], dict[str, float]],
        tolerance: float,
        max_step: float,
        first_step: float = 1.0,
    ) -> None:
        self._measure, self._tolerance, self._max_step = measure, tolerance, max_step
        self._first_step = min(first_step, max_step)
        self._seen: dict[float, dict[str, float]] = {}

    def match(self, name: str, target: float) -> tuple[float, bool]:
        """Match one measure; what earlier searches rendered is used again.

        Returns:
            The step whose change is closest to the target, and whether it is within tolerance.
        """
        for _ in range(_MAX_EVALUATIONS):
            step = self._propose(name, target)
            if step is None:
                break
            self._seen[step] = self._measure(step)
        errors = {step: abs(changes[name] / target - 1) for step, changes in self._seen.items()}
        closest = min(errors, key=errors.__getitem__)
        return closest, errors[closest] <= self._tolerance

    def _propose(self, name: str, target: float) -> float | None:
        """The next step to render, or None when the search is settled."""
        points = sorted((step, max(found[name], 1e-12)) for step, found in self._seen.items())
        if not points:
            return self._first_step
        if any(abs(change / target - 1) <= self._tolerance for _, change in points):
            return None
        crossing = next((i for i, (_, change) in enumerate(points) if change > target), len(points))
        below, above = points[:crossing], points[crossing:]
        if not above and below[-1][0] >= self._max_step:
            return None
        return min(_secant(below, above, target), self._max_step)


def _secant(
    below: list[tuple[float, float]], above: list[tuple[float, float]], target: float
) -> float:
    """Step at which the power law through the nearest two (step, change) points hits the target."""
    if below and above:
        first, second = below[-1], above[0]
    else:
        nearest = (below or above)[-2:] if below else above[:2]
        first, second = nearest[0], nearest[-1]
    exponent = 2.0
    if first != second:
        exponent = np.log(second[1] / first[1]) / np.log(second[0] / first[0])
    exponent = float(np.clip(exponent, *_EXPONENTS))
    step, change = below[-1] if below else above[0]
    step *= float(np.clip((target / change) ** (1 / exponent), 1 / _MAX_GROWTH, _MAX_GROWTH))
    if below and above and not 1.01 * first[0] < step < second[0] / 1.01:
        return float(np.sqrt(first[0] * second[0]))
    return step
