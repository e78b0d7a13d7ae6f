"""Edits of W+ (paper, section 3.3) and the steps at which different directions are comparable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Values = NDArray[np.float64]

_FIRST_STEP = 2.0
_EXPONENTS = (0.25, 4.0)  # of change against step: MSE grows with about 2, LPIPS with about 1
_MAX_GROWTH = 4.0  # of the step in one go, for an extrapolation can be far off
_MAX_EVALUATIONS = 20


def move(ws: Tensor, direction: Tensor, steps: Tensor, layers: Sequence[int]) -> Tensor:
    """Move the w of some layers: w + alpha p.

    Args:
        ws: [N, L, w_dim] W+ latents.
        direction: [w_dim] unit vector p.
        steps: [N] step alpha of each.
        layers: slots that move.

    Returns:
        [N, L, w_dim], a new tensor.
    """
    offset = ws.new_zeros(ws.shape[1], 1)
    offset[list(layers)] = 1.0
    return ws + steps[:, None, None] * offset * direction


@dataclass(frozen=True)
class Match:
    """Steps that reach a change.

    Attributes:
        steps: [N] step of each face; where it failed, the one that came closest to the target.
        reached: [N] bool, whether the change there is within the tolerance of the target.
    """

    steps: Values
    reached: NDArray[np.bool_]


class ChangeMatcher:
    """Finds, for every face, the step at which an edit changes the region by a target.

    A search in logarithms: change grows like a power of the step, so the secant of (log step,
    log change) converges in three or four renderings. A direction that does not reach the target
    up to `max_step` has failed on that face, and is reported so.

    Args:
        measure: (indices of faces, their steps) to measure name -> change [N]; one call renders.
        faces: number N of faces.
        tolerance: relative error of the change that counts as reached.
        max_step: largest step that is tried.
    """

    def __init__(
        self,
        measure: Callable[[NDArray[np.int_], Values], dict[str, Values]],
        faces: int,
        tolerance: float,
        max_step: float,
    ) -> None:
        self._measure, self._tolerance, self._max_step = measure, tolerance, max_step
        self._seen: list[dict[float, dict[str, float]]] = [{} for _ in range(faces)]

    def match(self, name: str, target: float) -> Match:
        """Match one measure; what earlier searches rendered is used again."""
        for _ in range(_MAX_EVALUATIONS):
            proposals = [self._propose(seen, name, target) for seen in self._seen]
            open_ = np.array([i for i, step in enumerate(proposals) if step is not None], dtype=int)
            if not len(open_):
                break
            steps = np.array([proposals[i] for i in open_], dtype=np.float64)
            changes = self._measure(open_, steps)
            for position, (face, step) in enumerate(zip(open_, steps, strict=True)):
                self._seen[face][float(step)] = {
                    key: float(v[position]) for key, v in changes.items()
                }
        closest = [
            min((self._error(changes[name], target), step) for step, changes in seen.items())
            for seen in self._seen
        ]
        errors, steps = np.array(closest).T
        return Match(steps, errors <= self._tolerance)

    @staticmethod
    def _error(change: float, target: float) -> float:
        return abs(change / target - 1)

    def _propose(
        self, seen: dict[float, dict[str, float]], name: str, target: float
    ) -> float | None:
        """The next step to render for one face, or None when it is settled."""
        points = sorted((step, max(changes[name], 1e-12)) for step, changes in seen.items())
        if not points:
            return min(_FIRST_STEP, self._max_step)
        if any(self._error(change, target) <= self._tolerance for _, change in points):
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
