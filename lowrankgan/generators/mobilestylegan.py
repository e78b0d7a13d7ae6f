"""MobileStyleGAN (Belousov, arXiv 2104.04767): StyleGAN2 distilled into the wavelet domain."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator, pixel_norm
from lowrankgan.generators.forward_mode import convolve, modulate

_LEAK = 0.2
_MEAN_SAMPLES = 10_000
# Rows: the four pixels of a 2 x 2 block in reading order; columns: the four bands.
_HAAR = [
    [0.5, 0.5, 0.5, 0.5],
    [0.5, 0.5, -0.5, -0.5],
    [0.5, -0.5, 0.5, -0.5],
    [0.5, -0.5, -0.5, 0.5],
]


class MobileStyleGAN(Generator):
    """MobileStyleGAN with its noise baked in, as its OpenVINO release is.

    The slots of W+ are: the convolution at 4 px, then three per block (up-sampling, first and
    second convolution), then the output. FFHQ at 1024 px has 7 blocks, hence 23 slots.

    Args:
        state: float32 state dict, as `readers.mobilestylegan_ir.read_mobilestylegan` returns it;
            every size is inferred from it. Without `w_mean`, the mean of w over 10,000 seeded
            latents is taken.

    Raises:
        LowRankGANError: the state dict is not that of a MobileStyleGAN.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        blocks = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
        depth = len({key.split(".")[1] for key in state if key.startswith("mapping_layers.")})
        try:
            if not blocks:
                raise ValueError("it has no blocks")
            self.z_dim = self.w_dim = state["mapping_layers.0.weight"].shape[1]
            with torch.device("meta"):  # shapes alone: the tensors are those of the state
                self.mapping_layers = nn.ModuleList(
                    nn.Linear(self.w_dim, self.w_dim) for _ in range(depth)
                )
                names = ["conv1", *(f"blocks.{i}.conv2" for i in range(blocks))]
                widths = [state[f"{name}.weight"].shape[0] for name in names]
                inputs = state["conv1.weight"].shape[1]
                self.const = nn.Parameter(torch.empty(1, inputs, 4, 4))
                self.conv1 = _Convolution(self.w_dim, widths[0], inputs, 4)
                self.blocks = nn.ModuleList(
                    _Block(self.w_dim, widths[i], widths[i + 1], 8 << i) for i in range(blocks)
                )
                self.to_rgb = _ToRGB(self.w_dim, widths[-1])
                self.register_buffer("w_mean", torch.empty(self.w_dim))
            # Copies, for where a file has them they are not aligned, and last digits would differ.
            known = {"w_mean": torch.zeros(self.w_dim), **state}
            self.load_state_dict({key: value.clone() for key, value in known.items()}, assign=True)
        except (LookupError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise LowRankGANError(f"not the weights of a MobileStyleGAN: {reason}") from error
        sizes = [8 << i for i in range(blocks)]
        self.layer_resolutions = (4, *(size for size in sizes for _ in range(3)), 2 * sizes[-1])
        self.resolution = 2 * sizes[-1]
        self.requires_grad_(False).eval()
        for parameter in self.parameters():
            if parameter.ndim == 4:  # the layout in which convolutions on a CPU are fastest
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        if "w_mean" not in state:
            seeded = torch.Generator().manual_seed(0)
            self.w_mean.copy_(
                self.mapping(torch.randn(_MEAN_SAMPLES, self.z_dim, generator=seeded)).mean(0)
            )

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        w = pixel_norm(z)
        for layer in self.mapping_layers:
            w = F.leaky_relu(layer(w), _LEAK) * 2**0.5
        return w

    def style_weights(self) -> list[Tensor]:
        affines = [self.conv1.affine]
        for block in cast("Sequence[_Block]", self.blocks):
            up = cast(nn.Linear, block.up["affine"])
            affines += [up, block.conv1.affine, block.conv2.affine]
        return [affine.weight for affine in (*affines, self.to_rgb.affine)]

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        return inverse_haar(self.to_rgb(self._features(slots), slots[-1]))

    def forward_averaged(self, slots: Sequence[Tensor], resolution: int) -> Tensor:
        # The mean over a 2 x 2 block is half the approximation band, and averaging commutes with
        # the pointwise output layer: average its input, skip the details and the transform.
        blocks, remainder = divmod(self.resolution // 2, resolution)
        if remainder or not blocks:
            return super().forward_averaged(slots, resolution)
        features = F.avg_pool2d(self._features(slots), blocks)
        return self.to_rgb(features, slots[-1], bands=1) * 0.5

    def _features(self, slots: Sequence[Tensor]) -> Tensor:
        blocks = cast("Sequence[_Block]", self.blocks)
        entries: list[Tensor | None] = [
            block.entry_style(slots[1 + 3 * index], slots[2 + 3 * index])
            for index, block in enumerate(blocks)
        ]
        x: Tensor = self.conv1(modulate(self.const, self.conv1.affine(slots[0])), entries[0])
        seconds = slots[3::3]
        for block, second, after in zip(blocks, seconds, [*entries[1:], None], strict=True):
            x = block(x, second, after)
        return x


def inverse_haar(x: Tensor) -> Tensor:
    """Inverse two-dimensional Haar transform, as one small matrix product and a reshape.

    Args:
        x: [N, 4C, H, W], best in channels-last memory format: C channels of approximation, then
            C each of vertical, horizontal and diagonal detail.

    Returns:
        [N, C, 2H, 2W] in channels-last memory format.
    """
    y: Tensor = _InverseHaar.apply(x)  # type: ignore[no-untyped-call]
    return y


class _InverseHaar(Function):
    """Linear and orthogonal; PyTorch would also multiply with a zero tangent of the matrix."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        bands = x.permute(0, 2, 3, 1).unflatten(3, (4, channels // 4))
        pixels = torch.matmul(x.new_tensor(_HAAR), bands).unflatten(3, (2, 2))
        image = pixels.transpose(2, 3).reshape(n, 2 * height, 2 * width, channels // 4)
        return image.permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def jvp(ctx: Any, x: Tensor) -> Tensor:
        return inverse_haar(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        blocks = gradient.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # [N, C, H, 2, W, 2]
        pixels = blocks.permute(0, 2, 4, 3, 5, 1).flatten(3, 4)  # [N, H, W, 4, C]
        bands = torch.matmul(gradient.new_tensor(_HAAR).T, pixels).flatten(3)
        return bands.permute(0, 3, 1, 2)


class _Convolution(nn.Module):
    """3 x 3 convolution, separable above 4 px; demodulation is in the weight.

    Channels are scaled by `affine` of w in place of modulating the weights, and not here but where
    the input comes from: in one pass with the activation before.
    """

    def __init__(self, w_dim: int, outputs: int, inputs: int, size: int) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, inputs)
        self.depthwise = nn.Parameter(torch.empty(inputs, 1, 3, 3)) if size > 4 else None
        kernel = 3 if self.depthwise is None else 1
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.noise: Tensor
        self.register_buffer("noise", torch.empty(1, 1, size, size))

    def forward(self, x: Tensor, after: Tensor | None) -> Tensor:
        """Convolve what is modulated already; `after` [N, O] modulates for the next one."""
        if self.depthwise is not None:
            x = convolve(x, self.depthwise, groups=x.shape[1])
        x = convolve(x, self.weight, self.bias)
        if torch.is_inference_mode_enabled():  # no transform looks on: in place, a fifteenth faster
            x = F.leaky_relu_(x.add_(self.noise), _LEAK)
            return x if after is None else x.mul_(after[:, :, None, None])
        if after is None:
            return F.leaky_relu(x + self.noise, _LEAK)
        y: Tensor = _Activate.apply(x, self.noise, after[:, :, None, None])  # type: ignore[no-untyped-call]
        return y


class _Block(nn.Module):
    def __init__(self, w_dim: int, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.up = nn.ModuleDict({"affine": nn.Linear(w_dim, inputs)})  # as checkpoints name it
        self.conv1 = _Convolution(w_dim, outputs, inputs // 4, size)
        self.conv2 = _Convolution(w_dim, outputs, outputs, size)

    def entry_style(self, up: Tensor, first: Tensor) -> Tensor:
        """Scales of the up-sampling and of the first convolution in one, for both act on channels.

        A scale of a channel commutes with the wavelet transform, which takes its four bands.
        """
        scales: Tensor = self.up["affine"](up) * self.conv1.affine(first).repeat(1, 4)
        return scales

    def forward(self, x: Tensor, second: Tensor, after: Tensor | None) -> Tensor:
        x = self.conv1(inverse_haar(x), self.conv2.affine(second))
        y: Tensor = self.conv2(x, after)
        return y


class _ToRGB(nn.Module):
    def __init__(self, w_dim: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(w_dim, channels)
        self.weight = nn.Parameter(torch.empty(12, channels, 1, 1))
        self.bias = nn.Parameter(torch.empty(12))

    def forward(self, x: Tensor, w: Tensor, bands: int = 4) -> Tensor:
        outputs = 3 * bands
        return convolve(modulate(x, self.affine(w)), self.weight[:outputs], self.bias[:outputs])


class _Activate(Function):
    """Leaky ReLU of x + noise, then a scale of the channels.

    One operation: as a chain, each constant and each factor costs every tangent a pass over it.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, noise: Tensor, scale: Tensor) -> Tensor:
        return F.leaky_relu(x + noise, _LEAK) * scale

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_forward(*inputs)
        ctx.save_for_backward(*inputs)

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, noise: None, scale: Tensor | None) -> Tensor:
        y, slope = _partial_derivatives(ctx)
        if x is None:
            return y * scale
        return x * slope if scale is None else torch.addcmul(x * slope, y, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor]:
        x, noise, scale = ctx.saved_tensors
        x = x + noise
        by_x = torch.ops.aten.leaky_relu_backward(gradient * scale, x, _LEAK, False)
        by_scale = gradient * F.leaky_relu(x, _LEAK)
        return by_x, None, by_scale.sum((2, 3), keepdim=True)


def _partial_derivatives(ctx: Any) -> tuple[Any, Any]:
    """By the scale, and by x."""
    x, noise, scale = ctx.saved_tensors
    x = x + noise
    return F.leaky_relu(x, _LEAK), scale * (_LEAK + (1 - _LEAK) * (x > 0).to(x.dtype))
