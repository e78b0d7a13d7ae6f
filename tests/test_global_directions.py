"""Directions that know no region, and the style weights that two of the methods build on."""

import numpy as np
import pytest
import torch
from torch.func import jacfwd

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.global_directions import ganspace, local_basis, random_directions, sefa
from lowrankgan.sampling import sample_latents
from tests.references import CHECKPOINTS
from tests.test_mobilestylegan import small_mobilestylegan


def _read(name: str) -> Generator:
    return build_generator(read_checkpoint(CHECKPOINTS / name, {}))


def test_style_weights_of_stylegan2_are_the_slopes_of_its_styles() -> None:
    generator = _read("nv_sg2ada_uncond_r32.pkl")
    ws = torch.randn(generator.num_layers, generator.w_dim)
    slopes = jacfwd(lambda w: torch.cat(generator.styles([s[None] for s in w]), 1)[0])(ws)
    for slot, weight in enumerate(generator.style_weights()):
        moved = slopes[:, slot].abs().sum(1) > 0
        # Styles come in the order of synthesis, the weights of a slot too.
        torch.testing.assert_close(slopes[moved, slot], weight)
        assert not slopes[moved][:, [s for s in range(len(ws)) if s != slot]].any()


def test_a_w_that_does_not_depend_on_z_has_no_leading_directions() -> None:
    generator = build_generator(
        read_checkpoint(CHECKPOINTS / "ajbrock_biggan_r128.pth", {"latent": "class"})
    )
    z = torch.randn(2, generator.z_dim, dtype=generator.dtype)
    for find in (
        lambda: ganspace(generator, 3, 50, 0, 2),
        lambda: local_basis(generator, z, 3, 2),
    ):
        with pytest.raises(LowRankGANError, match="w does not depend on z"):
            find()


def test_what_no_style_reads_changes_no_image() -> None:
    for generator in (_read("ajbrock_biggan_r128.pth"), small_mobilestylegan()):
        label = 0 if generator.num_classes else None
        _, ws = sample_latents(generator, [0], 1.0, label=label)
        weights = generator.style_weights()
        assert len(weights) == generator.num_layers
        images = generator.synthesis(ws)
        for slot, weight in enumerate(weights):
            read = torch.linalg.pinv(weight.double()) @ weight.double()
            unread = torch.eye(generator.w_dim, dtype=torch.float64) - read
            moved = ws.clone()
            offset = torch.randn(generator.w_dim, dtype=torch.float64)
            moved[0, slot, : generator.w_dim] += (offset @ unread).to(ws)
            torch.testing.assert_close(generator.synthesis(moved), images, atol=1e-4, rtol=0)
            moved[0, slot, : generator.w_dim] += (offset @ read).to(ws)
            assert (generator.synthesis(moved) - images).abs().max() > 1e-4


def test_sefa_maximises_the_change_of_unit_styles() -> None:
    generator = small_mobilestylegan()
    rows = torch.cat([generator.style_weights()[layer] for layer in (2, 3)]).numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = sefa(generator, [2, 3], 3)
    expected = np.linalg.svd(rows)[2][:3]
    np.testing.assert_allclose(np.abs((found * expected).sum(1)), 1, atol=1e-10)


def test_ganspace_finds_the_principal_components() -> None:
    generator = small_mobilestylegan()
    found = ganspace(generator, None, 5000, 3, 8)
    z = torch.from_numpy(np.random.RandomState(3).randn(5000, generator.z_dim)).to(generator.dtype)
    variances = found @ np.cov(generator.mapping(z).double().numpy().T) @ found.T
    np.testing.assert_allclose(variances - np.diag(np.diag(variances)), 0, atol=1e-10)
    assert (np.diff(np.diag(variances)) <= 0).all()


def test_the_local_basis_is_that_of_the_mapping() -> None:
    generator = small_mobilestylegan()
    z = torch.randn(1, generator.z_dim, dtype=generator.dtype)
    step = 1e-6
    differences = [
        (generator.mapping(z + step * e) - generator.mapping(z - step * e))[0] / (2 * step)
        for e in torch.eye(generator.z_dim, dtype=generator.dtype)
    ]
    expected = np.linalg.svd(torch.stack(differences, 1).numpy())[0].T[:2]
    found = local_basis(generator, z, None, 2)
    np.testing.assert_allclose(np.abs((found * expected).sum(1)), 1, atol=1e-6)


def test_random_directions_repeat() -> None:
    found = random_directions(16, 4, 5)
    np.testing.assert_array_equal(found, random_directions(16, 4, 5))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    assert not np.allclose(found, random_directions(16, 5, 5))
