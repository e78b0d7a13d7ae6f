"""Gram matrices of single styles, against every style's derivative by itself."""

import numpy as np
import torch

from lowrankgan.style_gram import style_gram_matrices
from tests.derivatives import style_derivatives
from tests.test_mobilestylegan import small_mobilestylegan


def test_it_is_the_sum_over_styles_of_what_each_changes() -> None:
    generator = small_mobilestylegan()
    ws = torch.randn(2, generator.num_layers, generator.w_dim, dtype=generator.dtype)
    masks = np.zeros((2, 16, 16), dtype=bool)
    masks[0, 4:9, 3:12] = masks[1, 2:6, 3:9] = True  # each latent's own
    groups = [[2, 3], [5]]
    found = style_gram_matrices(generator, ws, groups, {"box": masks}, 200, 1)["box"]

    d = generator.w_dim
    expected = [np.zeros((2 * d, 2 * d)) for _ in found]
    for latent, mask in zip(ws, masks, strict=True):
        for alone, offset, derivative in style_derivatives(generator, latent, [2, 3, 5], 16):
            row = np.zeros((2, d))
            row[int(offset[5].any())] = alone
            change = derivative.square().numpy()
            for gram, side in zip(expected, (mask, ~mask), strict=True):
                gram += change[:, side].mean() * np.outer(row, row) / len(ws)
    for gram, exact in zip(found, expected, strict=True):
        assert np.linalg.norm(gram - exact) < 0.15 * np.linalg.norm(exact)
        assert np.linalg.eigvalsh(gram).min() > -1e-12 * np.trace(gram)
