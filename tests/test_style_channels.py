"""Single channels of style space as offsets in W+."""

import numpy as np
import torch

from lowrankgan.style_channels import local_channels
from tests.derivatives import style_derivatives
from tests.test_mobilestylegan import small_mobilestylegan


def test_channels_that_do_not_depend_on_w_are_none_of_the_candidates() -> None:
    generator = small_mobilestylegan()
    ws = torch.randn(1, generator.num_layers, generator.w_dim, dtype=generator.dtype)
    mask = np.zeros((1, 16, 16), dtype=bool)
    mask[:, 4:9, 3:12] = True
    generator.style_weights()[2].zero_()
    found = local_channels(generator, ws, [2, 3], {"box": mask}, 4, 0, 0.5, 3)["box"]
    assert not found[:, 2].any()
    np.testing.assert_allclose(np.linalg.norm(found[:, 3], axis=1), 1)


def test_the_most_local_channels_are_found_and_moved_alone() -> None:
    generator = small_mobilestylegan()
    ws = torch.randn(1, generator.num_layers, generator.w_dim, dtype=generator.dtype)
    mask = np.zeros((1, 16, 16), dtype=bool)
    mask[:, 4:9, 3:12] = True
    layers = [2, 3, 5]
    found = local_channels(generator, ws, layers, {"box": mask}, 400, 0, 0.0, 3)["box"]
    assert found.shape == (3, generator.num_layers, generator.w_dim)

    ratios, strengths, inside = [], [], torch.from_numpy(mask[0])
    for _, offset, derivative in style_derivatives(generator, ws[0], layers, 16):
        energy = [derivative[:, side].square().mean() for side in (inside, ~inside)]
        ratios.append((float(energy[0] / energy[1]), offset / offset.norm()))
        strengths.append(float(energy[0] / offset.square().sum()))
    best = sorted(ratios, key=lambda pair: -pair[0])
    estimated = [max((float((torch.from_numpy(f) * o).sum()), r) for r, o in best) for f in found]
    assert all(cosine > 1 - 1e-9 for cosine, _ in estimated)  # each is one of the candidates
    assert estimated[0][1] > 0.8 * best[0][0]

    # A channel moves by itself as far as the layer has no more channels than w components.
    for direction in found:
        (slot,) = np.flatnonzero(np.abs(direction).sum(1))
        weight = generator.style_weights()[slot].double().numpy()
        if np.linalg.matrix_rank(weight) == len(weight):
            assert np.sum(np.abs(weight @ direction[slot]) > 1e-9) == 1

    # Asked for a strong one, it is among the strongest, and more local than the others there.
    (strong,) = local_channels(generator, ws, layers, {"box": mask}, 400, 0, 0.5, 1)["box"]
    # Strengths are estimated, so that it may be a little less strong than half of the strongest.
    kept, surely = (
        [pair for pair, s in zip(ratios, strengths, strict=True) if s > least * max(strengths)]
        for least in (0.45, 0.55)
    )
    assert len(kept) < len(ratios) / 2
    cosines = [float((torch.from_numpy(strong) * offset).sum()) for _, offset in kept]
    assert max(cosines) > 1 - 1e-9
    assert kept[int(np.argmax(cosines))][0] > 0.8 * max(ratio for ratio, _ in surely)
