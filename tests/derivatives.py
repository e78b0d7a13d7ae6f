"""Derivatives of generators, taken in every way that users take them."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

from lowrankgan.generators.base import Generator
from lowrankgan.linearization import Linearization


def style_derivatives(
    generator: Generator, latent: Tensor, layers: Sequence[int], side: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Every style's row of weights, offset [L, w_dim] that moves it, derivative [3, R, R].

    Exactly, by central differences along the offset.
    """
    for slot in layers:
        weight = generator.style_weights()[slot].detach()
        for row, own in zip(weight, torch.linalg.pinv(weight).T, strict=True):
            offset = torch.zeros_like(latent)
            offset[slot] = own
            ends = [
                generator.render((latent + sign * offset)[None], side) for sign in (1e-5, -1e-5)
            ]
            yield row, offset, ((ends[0] - ends[1])[0] / 2e-5).detach()


def check_derivatives(
    image: Callable[[Tensor], Tensor], w: Tensor, step: float = 1e-6, linearized: bool = True
) -> None:
    """All derivatives at w [1, d] float64 agree and equal differences; to linearise is slow."""
    seeded = torch.Generator().manual_seed(0)
    tangents = torch.randn(3, *w.shape, generator=seeded, dtype=w.dtype)
    together = vmap(lambda tangent: jvp(image, (w,), (tangent,))[1])(tangents)
    for tangent, derivative in zip(tangents, together, strict=True):
        torch.testing.assert_close(jvp(image, (w,), (tangent,))[1], derivative)
        difference = (image(w + step * tangent) - image(w - step * tangent)) / (2 * step)
        assert (derivative - difference).norm() < 1e-6 * difference.norm()
    value, pull = vjp(image, w)
    cotangent = torch.randn(value.shape, generator=seeded, dtype=w.dtype)
    products = (together * cotangent).flatten(1).sum(1)
    torch.testing.assert_close((tangents * pull(cotangent)[0]).flatten(1).sum(1), products)
    if linearized:
        with torch.no_grad():
            linearized_image = Linearization(lambda latent, offset: image(latent + offset), w.shape)
            linearized_image.at(w + tangents[0])  # what is traced there serves at w
            torch.testing.assert_close(linearized_image.at(w)(tangents), together)
            rounded = linearized_image.at(w, torch.bfloat16)(tangents)
        assert rounded.dtype == torch.bfloat16
        assert (rounded - together).norm() < 0.03 * together.norm()
