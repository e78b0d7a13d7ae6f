"""StyleGAN3, configurations T and R (Karras et al., arXiv 2106.12423).

State keys are those of NVlabs' stylegan3: `mapping.*` as in StyleGAN2, `synthesis.input.{weight,
transform, freqs, phases, affine.*}` and, for each of `layers`, `synthesis.{name}.{weight, bias,
magnitude_ema, up_filter, down_filter, affine.*}`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.alias_free import filtered_leaky_relu
from lowrankgan.generators.base import Generator
from lowrankgan.generators.formats.state_dict import positive, take, take_rgb
from lowrankgan.generators.forward_mode import convolve, modulate
from lowrankgan.generators.stylegan_mapping import MappingNetwork, dense

_LAYER = {"name", "size", "up", "down", "padding", "clamp", "rgb"}
_INPUT = {"size", "sampling_rate", "bandwidth"}


class StyleGAN3(Generator):
    """StyleGAN3, conditional or not.

    Slots of W+: the Fourier features, then every layer.

    Args:
        state: see the module.
        fourier: of the input: `size` of its grid, `sampling_rate` and `bandwidth`.
        layers: for each layer in order its `name`, output `size`, the `up` and `down` factors and
            the `padding` of the filtered nonlinearity, the `clamp` or None, and whether it is the
            output layer, `rgb`.
        output_scale: factor of the image.
        lr_multiplier: of the mapping network.

    Raises:
        LowRankGANError: a tensor is missing or has another shape, or a setting is malformed.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        fourier: Mapping[str, Any],
        layers: Sequence[Mapping[str, Any]],
        output_scale: float = 0.25,
        lr_multiplier: float = 0.01,
    ) -> None:
        super().__init__()
        if set(fourier) != _INPUT or not layers or any(set(layer) != _LAYER for layer in layers):
            raise LowRankGANError(
                f"fourier and layers: expected the keys {sorted(_INPUT)} and, for every layer, "
                f"{sorted(_LAYER)}"
            )
        self.mapping_network = MappingNetwork(state, lr_multiplier)
        self.z_dim, self.w_dim = self.mapping_network.z_dim, self.mapping_network.w_dim
        self.num_classes = self.mapping_network.num_classes
        self.register_buffer("w_mean", take(state, "mapping.w_avg", self.w_dim).clone())
        self.input = _FourierFeatures(state, self.w_dim, **fourier)
        channels, side = self.input.channels, fourier["size"]
        built = []
        for layer in layers:
            built.append(_Layer(state, channels, side, self.w_dim, **layer))
            channels, side = built[-1].channels, layer["size"]
        self.layers = nn.ModuleList(built)
        self.output_scale = positive("output_scale", output_scale)
        self.layer_resolutions = (fourier["size"], *(layer["size"] for layer in layers))
        self.resolution = layers[-1]["size"]
        self.requires_grad_(False).eval()

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        w: Tensor = self.mapping_network(z, label)
        return w

    def style_weights(self) -> list[Tensor]:
        return [cast(nn.Linear, layer.affine).weight for layer in (self.input, *self.layers)]

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        x = self.input(slots[0])
        for layer, w in zip(self.layers, slots[1:], strict=True):
            x = layer(x, w)
        return cast(Tensor, x) * self.output_scale


class _FourierFeatures(nn.Module):
    """The input: sines of random frequencies on a grid that w turns and shifts (section 3.1)."""

    freqs: Tensor
    phases: Tensor
    transform: Tensor

    def __init__(
        self,
        state: Mapping[str, Tensor],
        w_dim: int,
        size: int,
        sampling_rate: float,
        bandwidth: float,
    ) -> None:
        super().__init__()
        name = "synthesis.input"
        weight = take(state, f"{name}.weight", -1, -1)
        self.channels = weight.shape[0]
        self.size, self.sampling_rate, self.bandwidth = size, sampling_rate, bandwidth
        self.weight = nn.Parameter(weight / self.channels**0.5)
        take(state, f"{name}.affine.bias", 4)
        self.affine = dense(state, f"{name}.affine", w_dim)
        for buffer, shape in (
            ("freqs", (self.channels, 2)),
            ("phases", (self.channels,)),
            ("transform", (3, 3)),
        ):
            self.register_buffer(buffer, take(state, f"{name}.{buffer}", *shape).clone())

    def forward(self, w: Tensor) -> Tensor:
        cosine, sine, x, y = (self._pose(w)).unbind(1)
        # Rotation times translation times the user's transform, without writing into matrices.
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        rotation = _matrices([[cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one]])
        shift = _matrices([[one, zero, -x], [zero, one, -y], [zero, zero, one]])
        transform = rotation @ shift @ self.transform
        phases = self.phases + (self.freqs @ transform[:, :2, 2:]).squeeze(2)
        freqs = self.freqs @ transform[:, :2, :2]
        # Frequencies that the transform takes out of band fade away.
        excess = freqs.norm(dim=2) - self.bandwidth
        amplitudes = (1 - excess / (self.sampling_rate / 2 - self.bandwidth)).clamp(0, 1)
        angle = self._grid(w) @ freqs.transpose(1, 2)[:, None]  # [N, H, W, C]
        features = torch.sin((angle + phases[:, None, None]) * (2 * math.pi))
        features = features * amplitudes[:, None, None]
        return (features @ self.weight.T).permute(0, 3, 1, 2)

    def _pose(self, w: Tensor) -> Tensor:
        """Cosine, sine and shift [N, 4]."""
        pose: Tensor = self.affine(w)
        return pose / pose[:, :2].norm(dim=1, keepdim=True)

    def _grid(self, w: Tensor) -> Tensor:
        """Pixel centres [H, W, 2] as (x, y), in units in which the canvas has side 1."""
        steps = (torch.arange(self.size, device=w.device, dtype=w.dtype) + 0.5) / self.size
        line = (steps * 2 - 1) * (0.5 * self.size / self.sampling_rate)
        return torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=2)


def _matrices(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    """Entries [N] as matrices [N, 3, 3]."""
    return torch.stack([torch.stack(list(row), dim=1) for row in rows], dim=1)


class _Layer(nn.Module):
    """Modulated convolution and filtered leaky ReLU; activations are modulated, not weights."""

    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(
        self,
        state: Mapping[str, Tensor],
        inputs: int,
        side: int,
        w_dim: int,
        name: str,
        size: int,
        up: int,
        down: int,
        padding: Sequence[int],
        clamp: float | None,
        rgb: bool,
    ) -> None:
        super().__init__()
        prefix = f"synthesis.{name}"
        self.rgb = rgb
        self.up, self.down, self.padding, self.clamp = up, down, tuple(padding), clamp
        take(state, f"{prefix}.affine.bias", inputs)
        self.affine = dense(state, f"{prefix}.affine", w_dim)
        if rgb:
            weight, bias = take_rgb(state, prefix, inputs)
            weight = weight / inputs**0.5
        else:
            weight = take(state, f"{prefix}.weight", -1, inputs, -1, -1)
            bias = take(state, f"{prefix}.bias", len(weight))
            weight = weight * weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
            self.power = nn.Parameter(weight.square().sum((2, 3)).T.contiguous())  # [I, O]
        # The gain that keeps the input's magnitude applies after demodulation.
        gain = take(state, f"{prefix}.magnitude_ema").rsqrt()
        self.weight = nn.Parameter((weight * gain).contiguous(memory_format=torch.channels_last))
        self.bias, self.channels = nn.Parameter(bias), len(bias)
        for filter, factor, ndim in (("up_filter", up, 1), ("down_filter", down, 2)):
            needed = factor > 1 and not rgb
            self.register_buffer(filter, _filter(state, f"{prefix}.{filter}", ndim, needed))
        found = self._sides(side)
        if found != [size, size]:
            raise LowRankGANError(
                f"{prefix}: its filters and padding make it {found[0]} x {found[1]} px, "
                f"expected {size} x {size}"
            )

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style: Tensor = self.affine(w)
        if not self.rgb:  # by itself, not over the batch as there: demodulation cancels the scale
            style = style * style.square().mean(1, keepdim=True).rsqrt()
        x = convolve(modulate(x, style), self.weight, padding=self.weight.shape[-1] - 1)
        if not self.rgb:
            x = modulate(x, (style.square() @ self.power + 1e-8).rsqrt())
        return filtered_leaky_relu(
            x + self.bias[:, None, None],
            self.up_filter,
            self.down_filter,
            self.up,
            self.down,
            self.padding,
            gain=1.0 if self.rgb else 2**0.5,
            slope=1.0 if self.rgb else 0.2,
            clamp=self.clamp,
        )

    def _sides(self, side: int) -> list[int]:
        """Width and height in pixels of what it makes of a square of `side`."""
        taps = sum(
            filter.shape[0] - 1
            for filter in (self.up_filter, self.down_filter)
            if filter is not None
        )
        upsampled = (side + self.weight.shape[-1] - 1) * self.up - taps + self.down - 1
        left, right, top, bottom = self.padding
        return [(upsampled + pad) // self.down for pad in (left + right, top + bottom)]


def _filter(state: Mapping[str, Tensor], key: str, max_ndim: int, needed: bool) -> Tensor | None:
    """A filter [k] or [k, k], or None where a layer has none."""
    found = state.get(key)
    if found is None and not needed:
        return None
    if max_ndim == 2 and isinstance(found, Tensor) and found.ndim == 2:
        return take(state, key, len(found), len(found)).clone()
    return take(state, key, -1).clone()
