"""Operations of generators whose forward-mode derivative costs what it should.

PyTorch's own jvp of a convolution also convolves the input with the weight's tangent, even where
that is a constant zero, and adds the result: twice the arithmetic and one more pass over memory.
These operations hold their weights constant. Both derivatives are exact, and they compose with
`torch.func.jvp`, `vjp`, `vmap` and `linearize`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
    """Same-size convolution of x [N, C, H, W] with a constant weight [O, C / groups, k, k].

    Differentiable in x alone.
    """
    y: Tensor = _Convolve.apply(x, weight.detach(), groups)  # type: ignore[no-untyped-call]
    return y if bias is None else y + bias[:, None, None]


def modulate(x: Tensor, style: Tensor) -> Tensor:
    """Scale the channels of x [N, C, H, W] by style [N, C]; differentiable in both."""
    y: Tensor = _Modulate.apply(x, style[:, :, None, None])  # type: ignore[no-untyped-call]
    return y


class _Convolve(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, groups: int) -> Tensor:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        x, weight, ctx.groups = inputs
        ctx.shape = x.shape
        ctx.save_for_forward(weight)
        ctx.save_for_backward(weight)

    @staticmethod
    def jvp(ctx: Any, x: Tensor, weight: None, groups: None) -> Tensor:
        (constant,) = ctx.saved_tensors
        return convolve(x, constant, groups=ctx.groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        padding = weight.shape[-1] // 2
        x = F.conv_transpose2d(gradient, weight, padding=padding, groups=ctx.groups)
        return x, None, None


class _Modulate(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, style: Tensor) -> Tensor:
        return x * style

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_forward(*inputs)
        ctx.save_for_backward(*inputs)

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, style: Tensor | None) -> Tensor:
        primal, scale = ctx.saved_tensors
        if x is None:
            return primal * style
        if style is None:
            return x * scale
        return torch.addcmul(x * scale, primal, style)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        primal, scale = ctx.saved_tensors
        return gradient * scale, (gradient * primal).sum((2, 3), keepdim=True)
