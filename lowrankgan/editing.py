"""Edits of W+ (paper, section 3) and the steps at which different directions are comparable."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from lowrankgan.errors import LowRankGANError

_EXPONENTS = (0.25, 4.0)  # of change against step: MSE grows with about 2, LPIPS with about 1
_MAX_GROWTH = 4.0  # of the step in one go, for an extrapolation can be far off
_MAX_EVALUATIONS = 20  # for each target
_TELLING = 0.5  # share of a target from which on the two signs differ


def offsets(directions: Tensor, num_layers: int, groups: Sequence[Sequence[int]]) -> Tensor:
    """Directions as offsets in W+ [k, L, w_dim], the same in all layers of a group.

    Args:
        directions: rows p [k, n w_dim], the offsets of n groups one after another.
        num_layers: L.
        groups: slots of each group.
    """
    parts = directions.unflatten(1, (len(groups), -1))
    found = directions.new_zeros(len(directions), num_layers, parts.shape[2])
    for index, layers in enumerate(groups):
        found[:, list(layers)] = parts[:, index, None]
    return found


def move(ws: Tensor, offset: Tensor, steps: Tensor) -> Tensor:
    """Edit W+ latents: w + alpha p in every layer.

    Args:
        ws: [N, L, D] W+ latents.
        offset: p [L, w_dim], or [N, L, w_dim] with one for each; components of w that are carried
            along stay.
        steps: [N] step alpha of each.

    Returns:
        [N, L, D], a new tensor.
    """
    return ws + steps[:, None, None] * F.pad(offset, (0, ws.shape[-1] - offset.shape[-1]))


class ChangeMatcher:
    """Finds the steps at which the edit of a face changes its region by given amounts.

    It proposes a step, is told the change there, and so on, so that the edits of many faces can
    be rendered together. A mouth that is shut cannot be shut: of the two signs, the one is taken
    in which the direction changes the region more, for each target at the shortest step known
    where that is at least half of it, for small steps change it alike in both. Then it searches in
    logarithms: change grows like a power of the step, so the secant of (log step, log change)
    converges in three or four renderings, and what one target has rendered serves the next. A
    direction that does not reach a target up to `max_step` has failed on that face, and is
    reported so.

    Args:
        targets: name to the measure and the change by it at which to arrive, > 0.
        tolerance: relative error of the change that counts as reached.
        max_step: largest step that is tried.
        first_step: where to begin; a neighbouring face's step saves renderings.
    """

    def __init__(
        self,
        targets: Mapping[str, tuple[str, float]],
        tolerance: float,
        max_step: float,
        first_step: float = 1.0,
    ) -> None:
        self._targets, self._tolerance, self._max_step = targets, tolerance, max_step
        self._first_step = min(first_step, max_step)
        self._seen: dict[float, Mapping[str, float]] = {}

    def propose(self) -> float | None:
        """The next step to render, or None when every search is settled."""
        for measure, target in self._targets.values():
            compared = self._compared(measure, target)
            for step in (compared, -compared):
                if step not in self._seen:
                    return step
            if len(self._seen) < _MAX_EVALUATIONS * len(self._targets):
                sign = self._sign(measure, compared)
                length = self._next(measure, target, sign)
                # Between two neighbouring floats there is no step that was not rendered.
                if length is not None and sign * length not in self._seen:
                    return sign * length
        return None

    def observe(self, step: float, changes: Mapping[str, float]) -> None:
        """Take in the change, by every measure, at a step that was proposed.

        Raises:
            LowRankGANError: a change is not finite.
        """
        for measure, change in changes.items():
            if not math.isfinite(change):
                raise LowRankGANError(
                    f"the change by {measure} at the step {step:g} is {change}; check the weights, "
                    "or lower edit.max_step"
                )
        self._seen[step] = changes

    def arrived(self, step: float) -> set[str]:
        """Measures by which the change at a step that was observed is that of a target."""
        changes, targets = self._seen[step], self._targets.values()
        return {measure for measure, value in targets if self._reaches(changes[measure], value)}

    def match(self, name: str) -> tuple[float, bool]:
        """The step whose change is closest to a target, and whether it is within tolerance."""
        measure, target = self._targets[name]
        sign = self._sign(measure, self._compared(measure, target))
        changes = self._changes(measure, sign)
        closest = min(changes, key=lambda step: abs(changes[step] / target - 1))
        return sign * closest, self._reaches(changes[closest], target)

    def _reaches(self, change: float, target: float) -> bool:
        return abs(change / target - 1) <= self._tolerance

    def _compared(self, measure: str, target: float) -> float:
        """Length of the step at which the signs are compared for a target, rendered or not."""
        telling = {
            abs(step) for step, found in self._seen.items() if found[measure] >= _TELLING * target
        }
        both = {abs(step) for step in self._seen if -step in self._seen}
        if telling:
            return min(telling & both or telling)
        if not both:
            return self._first_step
        longest = max(both)
        return self._next(measure, target, self._sign(measure, longest)) or longest

    def _sign(self, measure: str, compared: float) -> float:
        forth, back = (self._seen[step][measure] for step in (compared, -compared))
        return 1.0 if forth >= back else -1.0

    def _changes(self, measure: str, sign: float) -> dict[float, float]:
        """Length of the step to change, in one sign."""
        return {s * sign: found[measure] for s, found in self._seen.items() if s * sign > 0}

    def _next(self, measure: str, target: float, sign: float) -> float | None:
        """Length of the next step on the way to one target, or None when it is settled."""
        changes = self._changes(measure, sign)
        points = sorted((step, max(change, 1e-12)) for step, change in changes.items())
        if any(self._reaches(change, target) for _, change in points):
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
    # So close to an end it would tell nothing new; a little farther, it mends a near miss.
    if below and above and not 1.001 * first[0] < step < second[0] / 1.001:
        return float(np.sqrt(first[0] * second[0]))
    return step
