"""Layers of StyleGAN2's synthesis network, cheap in forward mode."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.formats.state_dict import take, take_rgb
from lowrankgan.generators.forward_mode import convolve, convolve_transposed, modulate
from lowrankgan.generators.stylegan_mapping import dense

_LEAK = 0.2


class Modulated(nn.Module):
    """A layer whose input channels are scaled by an affine function of w, the style."""

    affine: nn.Linear


class Convolution(Modulated):
    """Modulated and demodulated 3 x 3 convolution, noise, bias and leaky ReLU.

    Activations are modulated in place of weights: one convolution serves the whole batch and,
    in forward mode, all tangents.

    Args:
        state: by the canonical names of `stylegan2`.
        name: prefix of the layer in the state.
        size: side of its output in pixels.
        inputs: number of its input channels.
        w_dim: size of w.
        up: whether its output is twice as large as its input.
        clamp: bound of its output, before the gain of a residual network; None is no bound.

    Raises:
        LowRankGANError: a tensor is missing or has another shape.
    """

    noise: Tensor | None
    filter: Tensor

    def __init__(
        self,
        state: Mapping[str, Tensor],
        name: str,
        size: int,
        inputs: int,
        w_dim: int,
        up: bool,
        clamp: float | None,
    ) -> None:
        super().__init__()
        weight = take(state, f"{name}.weight", -1, inputs, 3, 3)
        self.channels, self.up, self.clamp = weight.shape[0], up, clamp
        take(state, f"{name}.affine.bias", inputs)
        self.affine = dense(state, f"{name}.affine", w_dim)
        self.power = nn.Parameter(weight.square().sum((2, 3)).T.contiguous())  # [I, O]
        self.weight = nn.Parameter(_channels_last(weight.transpose(0, 1) if up else weight))
        self.bias = nn.Parameter(take(state, f"{name}.bias", self.channels))
        self.register_buffer("noise", None)
        if f"{name}.noise_const" in state:
            self.noise = take(state, f"{name}.noise_const", size, size).clone()
            self.noise_strength = nn.Parameter(take(state, f"{name}.noise_strength"))
        if up:
            self.register_buffer("filter", up_filter(state, f"{name}.resample_filter"))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None, gain: float) -> Tensor:
        """Map x [N or 1, I, H, W] by styles [N, I], noise [H, W] or [N, 1, H, W], and a gain."""
        x = modulate(x.expand(len(style), -1, -1, -1), style)
        x = self._upsampled(x) if self.up else convolve(x, self.weight)
        demodulation = (style.square() @ self.power + 1e-8).rsqrt()
        shift = self.bias[:, None, None]
        if noise is not None:
            shift = shift + noise * self.noise_strength
        clamp = None if self.clamp is None else self.clamp * gain
        return _activate(x, demodulation, shift, 2**0.5 * gain, clamp)

    def _upsampled(self, x: Tensor) -> Tensor:
        """Transposed convolution to 2 H + 1, then the filter, to twice the size."""
        size, taps = 2 * x.shape[-1], self.filter.shape[-1]
        kernel = self.filter.expand(self.channels, 1, -1, -1)
        x = convolve_transposed(x, self.weight)
        # Cropping costs nothing, and padding apart loses the channels-last layout under vmap.
        x = convolve(x, kernel, groups=self.channels, padding=(taps - 1) // 2)
        return x[:, :, :size, :size]


class ToRGB(Modulated):
    """Modulated 1 x 1 convolution to RGB, without demodulation; grey is repeated.

    Args:
        state: by the canonical names of `stylegan2`.
        name: prefix of the layer in the state.
        inputs: number of its input channels.
        w_dim: size of w.
        clamp: bound of its output; None is no bound.

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or images are neither RGB nor
            grey.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        name: str,
        inputs: int,
        w_dim: int,
        clamp: float | None,
    ) -> None:
        super().__init__()
        weight, bias = take_rgb(state, name, inputs)
        self.clamp = clamp
        take(state, f"{name}.affine.bias", inputs)
        self.affine = dense(state, f"{name}.affine", w_dim)
        self.weight = nn.Parameter(weight / inputs**0.5)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map x [N, I, H, W] by styles [N, I] to [N, 3, H, W]."""
        x = convolve(modulate(x, style), self.weight, self.bias)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


def upsample(x: Tensor, filter: Tensor) -> Tensor:
    """Upsample x [N, C, H, W] twice with a filter [1, 1, k, k] as `up_filter` makes it."""
    n, channels, height, width = x.shape
    taps = filter.shape[-1]
    # Zeros between the pixels and the filter over them are one transposed convolution, whose
    # kernel is the filter turned round.
    planes = x.reshape(n * channels, 1, height, width)
    full = convolve_transposed(planes, filter.flip((2, 3)))
    start = taps - 1 - (taps + 1) // 2
    cropped = full[:, :, start : start + 2 * height, start : start + 2 * width]
    return cropped.reshape(n, channels, 2 * height, 2 * width)


def up_filter(state: Mapping[str, Tensor], key: str) -> Tensor:
    """A stored low-pass filter [k, k] as a kernel [1, 1, k, k] that keeps the brightness.

    Raises:
        LowRankGANError: it is missing, not square or smaller than 2 x 2.
    """
    taps = take(state, key, -1, -1)
    if not 2 <= taps.shape[0] == taps.shape[1]:
        raise LowRankGANError(
            f"{key} has the shape {list(taps.shape)}, expected a square of at least 2 x 2"
        )
    return 4 * taps.flip((0, 1))[None, None]


def _activate(x: Tensor, scale: Tensor, shift: Tensor, gain: float, clamp: float | None) -> Tensor:
    """Leaky ReLU of scaled channels and a constant shift, times a gain, clamped.

    Args:
        x: [N, C, H, W].
        scale: [N, C].
        shift: anything that broadcasts to x; no derivative is taken with respect to it.
        gain: at least 0.
        clamp: bound of the result; None is no bound.
    """
    y: Tensor = _Activate.apply(x, scale[:, :, None, None], shift, gain, clamp)  # type: ignore[no-untyped-call]
    return y


class _Activate(Function):
    """As a chain of operations, each constant and factor costs every tangent a copy."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, scale: Tensor, shift: Tensor, gain: float, clamp: float | None
    ) -> Tensor:
        y = F.leaky_relu(x * scale + shift, _LEAK) * gain
        return y if clamp is None else y.clamp(-clamp, clamp)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, float, float | None], output: Tensor
    ) -> None:
        x, scale, _, ctx.gain, ctx.clamp = inputs
        ctx.save_for_forward(x, scale, output)
        ctx.save_for_backward(x, scale, output)

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, scale: Tensor | None, *constants: None) -> Tensor:
        primal, factor, y = ctx.saved_tensors
        slope = _slope(y, ctx.gain, ctx.clamp)
        if x is None:
            return slope * primal * scale
        if scale is None:
            return x * (slope * factor)
        return torch.addcmul(x * (slope * factor), slope * primal, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        primal, factor, y = ctx.saved_tensors
        gradient = gradient * _slope(y, ctx.gain, ctx.clamp)
        return gradient * factor, (gradient * primal).sum((2, 3), keepdim=True), None, None, None


def _slope(y: Tensor, gain: float, clamp: float | None) -> Tensor:
    """The derivative of the activation, from its value."""
    slope = gain * (_LEAK + (1 - _LEAK) * (y > 0).to(y.dtype))
    return slope if clamp is None else slope * (y.abs() < clamp)


def _channels_last(weight: Tensor) -> Tensor:
    """The layout in which convolutions on a CPU are fastest."""
    return weight.contiguous(memory_format=torch.channels_last)
