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

Size = int | tuple[int, int]


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    groups: int = 1,
    padding: int | None = None,
    stride: Size = 1,
) -> Tensor:
    """Convolution of x [N, C, H, W] with a constant weight [O, C / groups, k, l].

    Differentiable in x alone. Without `padding` the size is kept (k = l odd, stride 1).
    """
    padding = weight.shape[-1] // 2 if padding is None else padding
    bias = None if bias is None else bias.detach()
    y: Tensor = _Convolve.apply(x, weight.detach(), bias, groups, padding, stride)  # type: ignore[no-untyped-call]
    return y


def convolve_transposed(
    x: Tensor, weight: Tensor, stride: Size = 2, padding: Size = 0, groups: int = 1
) -> Tensor:
    """Transposed convolution of x [N, C, H, W] with a constant weight [C, O / groups, k, l].

    Differentiable in x alone.
    """
    y: Tensor = _ConvolveTransposed.apply(x, weight.detach(), stride, padding, groups)  # type: ignore[no-untyped-call]
    return y


def modulate(x: Tensor, style: Tensor) -> Tensor:
    """Scale the channels of x [N, C, H, W] by style [N, C]; differentiable in both."""
    y: Tensor = _Modulate.apply(x, style[:, :, None, None])  # type: ignore[no-untyped-call]
    return y


class _Convolve(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, padding: int, stride: Size
    ) -> Tensor:
        return F.conv2d(x, weight, bias, stride, padding, _dilation(weight), groups)

    @staticmethod
    def setup_context(
        ctx: Any,
        inputs: tuple[Tensor, Tensor, Tensor | None, int, int, Size],
        output: Tensor,
    ) -> None:
        x, weight, _, ctx.groups, ctx.padding, ctx.stride = inputs
        ctx.shape = x.shape
        ctx.save_for_forward(weight)
        ctx.save_for_backward(weight)

    @staticmethod
    def jvp(ctx: Any, x: Tensor, *constants: None) -> Tensor:
        (weight,) = ctx.saved_tensors
        return convolve(x, weight, groups=ctx.groups, padding=ctx.padding, stride=ctx.stride)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        # torch.nn.grad.conv2d_input forgets the memory format, and then costs several times this.
        stride = (ctx.stride, ctx.stride) if isinstance(ctx.stride, int) else ctx.stride
        sizes = zip(ctx.shape[2:], weight.shape[2:], stride, strict=True)
        unseen = [(size + 2 * ctx.padding - kernel) % step for size, kernel, step in sizes]
        shape = (stride, ctx.padding, unseen, ctx.groups, _dilation(weight))
        x = F.conv_transpose2d(gradient, weight, None, *shape)
        return x, None, None, None, None, None


def _dilation(weight: Tensor) -> int:
    """2 for 1 x 1 convolutions on a CPU, which one pixel ignores, else 1.

    For one image on one thread PyTorch leaves what is not dilated to a library that is slower than
    oneDNN, by a tenth of a whole face.
    """
    return 2 if weight.device.type == "cpu" and weight.shape[2:] == (1, 1) else 1


class _ConvolveTransposed(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, stride: Size, padding: Size, groups: int) -> Tensor:
        return F.conv_transpose2d(x, weight, stride=stride, padding=padding, groups=groups)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, Size, Size, int], output: Tensor
    ) -> None:
        _, weight, ctx.stride, ctx.padding, ctx.groups = inputs
        ctx.save_for_forward(weight)
        ctx.save_for_backward(weight)

    @staticmethod
    def jvp(ctx: Any, x: Tensor, *constants: None) -> Tensor:
        (weight,) = ctx.saved_tensors
        return convolve_transposed(x, weight, ctx.stride, ctx.padding, ctx.groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        x = F.conv2d(gradient, weight, stride=ctx.stride, padding=ctx.padding, groups=ctx.groups)
        return x, None, None, None, None


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
