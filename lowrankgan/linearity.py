"""How exactly theory holds: ranks and null spaces in float64, and the reach of first order."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import jvp

from lowrankgan.arrays import Array
from lowrankgan.editing import move
from lowrankgan.generators.base import Generator


def exact_rank(rows: Array) -> dict[str, float | int]:
    """Rank of a Jacobian beyond rounding, with its null space.

    A singular value counts if it exceeds the rounding error of the largest, max(m, d) eps s_1.

    Args:
        rows: [m, d] float64, one row a channel of a pixel.

    Returns:
        rank; nullity d - rank; condition, the largest over the smallest singular value that
        counts; leak, the largest change of a pixel along the null space over that along the
        leading direction, 0 if the null space is empty.
    """
    # R of J = QR has the singular values and right vectors of J, and is as small as d x d.
    _, values, directions = np.linalg.svd(np.linalg.qr(rows, mode="r"), full_matrices=True)
    tolerance = max(rows.shape) * np.finfo(np.float64).eps * values[0]
    rank = int((values > tolerance).sum())
    null = rows @ directions[rank:].T
    leading = np.abs(rows @ directions[0]).max()
    return {
        "rank": rank,
        "nullity": rows.shape[1] - rank,
        "condition": float(values[0] / values[rank - 1]),
        "leak": float(np.abs(null).max(initial=0.0) / leading),
    }


@torch.no_grad()
def prediction_errors(
    generator: Generator,
    ws: Tensor,
    offset: Tensor,
    steps: Sequence[float],
) -> Array:
    """Relative error of the predicted edit, |G(w + a p) - G(w) - a J p| / |G(w + a p) - G(w)|.

    Args:
        generator: in the precision that is asked for.
        ws: [L, D] W+ latent.
        offset: [L, w_dim] direction p.
        steps: lengths a.

    Returns:
        [steps] float64.
    """
    lengths = ws.new_tensor(steps)
    moved = move(ws.expand(len(steps), -1, -1), offset.to(ws), lengths)
    change = generator.synthesis(moved) - generator.synthesis(ws[None])

    def along(step: Tensor) -> Tensor:
        return generator.synthesis(move(ws[None], offset.to(ws), step))

    slope = jvp(along, (ws.new_zeros(1),), (ws.new_ones(1),))[1]
    error = change - lengths[:, None, None, None] * slope
    ratio = error.flatten(1).norm(dim=1) / change.flatten(1).norm(dim=1)
    return ratio.double().cpu().numpy()
