"""What BigGAN and BigGAN-deep share (Brock et al., arXiv 1809.11096): latents, norms, attention."""

import math
import operator
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.generators.forward_mode import convolve, modulate

LATENTS = ("z", "class")
EPSILON = 1e-5  # of batch normalisation, in training; stored variances have theirs within


class ClassConditionalGenerator(Generator):
    """A first linear layer, residual blocks with attention between them, and an output layer.

    W+ has a slot for the first linear layer and one for each block, in order. Every slot has the
    whole latent, of which each layer takes its part. A row of w holds z and the class embedding
    y, what is edited first, and then the truncation if statistics depend on it.

    The state dict of both architectures, spectral normalisation applied:

    - `embedding.weight` [classes, y],
    - `linear.weight` [C b b, .], `linear.bias` [C b b]: channels first, then the b x b pixels,
    - `blocks.{i}.*`, see the architecture; its norms are `.{gain,bias}.weight` [C, condition],
      `.{mean,variance}` [S, C], its convolutions `.weight` and `.bias`,
    - `attentions.{i}.{query,key,value,output}.weight` and `.gamma` []: attention before block i,
      or before the output layer where i is the number of blocks,
    - `output_norm.{gain,bias}` [C], `output_norm.{mean,variance}` [S, C],
    - `output.weight` [3, C, 3, 3], `output.bias` [3].

    Each batch normalisation has S rows of statistics, for truncations at equal steps from 0 to
    1; epsilon is in the variance. Layers that read the latent take first z, then y.

    Args:
        state: float32 tensors by the names above.
        latent: what is edited, "z" at a fixed class or "class", the embedding, at a fixed z.
        upsampling: for each block, whether it doubles the resolution; None is all of them.
    """

    block: Callable[[int, int, int, Callable[[int], nn.Module], bool], nn.Module]

    def __init__(
        self, state: Mapping[str, Tensor], latent: str, upsampling: Sequence[bool] | None = None
    ) -> None:
        super().__init__()
        if latent not in LATENTS:
            raise LowRankGANError(f"latent: {latent!r} is unknown, expected one of {LATENTS}")
        try:
            with torch.device("meta"):  # shapes alone: the tensors are those of the state
                self._build(state, upsampling)
            self.load_state_dict(dict(state), assign=True)
        except (LookupError, ValueError, ZeroDivisionError, RuntimeError) as error:
            reason = str(error).splitlines()[-1].strip()
            name = type(self).__name__
            raise LowRankGANError(f"not the weights of a {name}: {reason}") from error
        self.latent = latent
        self.w_dim = self.z_dim if latent == "z" else self.y_dim
        self.carried_dim = self.z_dim + self.y_dim - self.w_dim + (self.steps > 1)
        self.register_buffer("w_mean", self.linear.weight.new_zeros(self.w_dim), persistent=False)
        self.resolution = self.layer_resolutions[-1]
        self.requires_grad_(False).eval()

    def _build(self, state: Mapping[str, Tensor], upsampling: Sequence[bool] | None) -> None:
        """Create the modules by the shapes of the state, and what their sizes tell."""
        count = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
        if count > len(state):
            raise ValueError(f"block {count - 1} is named, but there are only {len(state)} tensors")
        doubles = [True] * count if upsampling is None else list(upsampling)
        if not all(isinstance(one, bool) for one in doubles):
            raise ValueError("upsampling: expected true or false for each block")
        if len(doubles) != count:
            raise ValueError(f"upsampling has {len(doubles)} values for {count} blocks")
        self.steps, last = state["output_norm.mean"].shape
        channels = [state[f"blocks.{i}.norm1.mean"].shape[1] for i in range(count)] + [last]
        condition = state["blocks.0.norm1.gain.weight"].shape[1]
        outputs, inputs = state["linear.weight"].shape
        self.num_classes, self.y_dim = state["embedding.weight"].shape
        self.embedding = nn.Embedding.from_pretrained(state["embedding.weight"])
        self.linear = nn.Linear(inputs, outputs)
        self.blocks = nn.ModuleList(
            self.block(
                channels[i],
                state[f"blocks.{i}.conv1.weight"].shape[0],
                channels[i + 1],
                partial(ConditionalNorm, steps=self.steps, condition=condition),
                doubles[i],
            )
            for i in range(count)
        )
        self.attentions = nn.ModuleDict(
            {
                str(i): Attention(channels[i])
                for i in range(count + 1)
                if any(key.startswith(f"attentions.{i}.") for key in state)
            }
        )
        self.output_norm = OutputNorm(last, self.steps)
        self.output = nn.Conv2d(last, 3, 3)
        self.z_dim = self._z_dim(condition - self.y_dim)
        side = math.isqrt(outputs // channels[0])
        if side * side * channels[0] != outputs:
            raise ValueError(f"linear.weight has {outputs} rows, expected {channels[0]} x a square")
        self.layer_resolutions = tuple(accumulate(doubles, operator.lshift, initial=side))

    @abstractmethod
    def _z_dim(self, chunk: int) -> int:
        """Size of z, of which every block takes a chunk."""

    @abstractmethod
    def _first(self, z: Tensor, y: Tensor) -> Tensor:
        """What the first linear layer takes, [N, linear.in_features]."""

    @abstractmethod
    def _condition(self, block: int, z: Tensor, y: Tensor) -> Tensor:
        """What the norms of a block take, [N, condition]."""

    def _map(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Join z [N, z_dim] and the embeddings of labels [N] int64 as w, at truncation 1."""
        y = self.embedding(label)
        parts = [z, y] if self.latent == "z" else [y, z]
        if self.steps > 1:
            parts.append(z.new_ones(len(z), 1))
        return torch.cat(parts, dim=1)

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Scale z by psi and, if statistics depend on it, set the truncation to psi.

        Raises:
            LowRankGANError: statistics depend on it and psi is not from 0 to 1.
        """
        z, y, truncation = self._split(w)
        parts = [z * psi, y] if self.latent == "z" else [y, z * psi]
        if self.steps > 1 and not 0 <= psi <= 1:
            raise LowRankGANError(
                f"truncation {psi:g}: expected 0 to 1, for which this BigGAN has statistics"
            )
        return torch.cat([*parts, torch.full_like(truncation, psi)], dim=-1)

    def style_weights(self) -> list[Tensor]:
        # Each style is affine in the latent: the identity maps to its weight, zero to its offset.
        basis = torch.eye(self.w_dim, dtype=self.dtype, device=self.device)
        rows = torch.cat([basis, basis.new_zeros(1, self.w_dim)])
        z, y, _ = self._split(F.pad(rows, (0, self.carried_dim)))
        found = [self.linear(self._first(z, y))]
        for index, block in enumerate(self.blocks):
            condition = self._condition(index, z, y)
            norms = [norm for norm in block.children() if isinstance(norm, ConditionalNorm)]
            maps = [affine for norm in norms for affine in (norm.gain, norm.bias)]
            found.append(torch.cat([affine(condition) for affine in maps], dim=1))
        return [(styles[:-1] - styles[-1]).T for styles in found]

    def forward(self, slots: Sequence[Tensor]) -> Tensor:
        z, y, _ = self._split(slots[0])
        size = self.layer_resolutions[0]
        x = self.linear(self._first(z, y)).unflatten(1, (-1, size, size))
        for index, (block, w) in enumerate(zip(self.blocks, slots[1:], strict=True)):
            z, y, truncation = self._split(w)
            x = self._attend(x, index)
            statistics = statistics_weights(truncation, self.steps)
            x = block(x, self._condition(index, z, y), statistics)
        x = F.relu(self.output_norm(self._attend(x, len(self.blocks)), statistics))
        return torch.tanh(apply(self.output, x))

    def _attend(self, x: Tensor, index: int) -> Tensor:
        return self.attentions[str(index)](x) if str(index) in self.attentions else x

    def _split(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z, y and the truncation [..., 1], or [..., 0] if w has none, of w [..., D]."""
        both = self.z_dim + self.y_dim
        sizes = [self.w_dim, both - self.w_dim, w.shape[-1] - both]
        first, second, rest = w.split(sizes, dim=-1)
        return (first, second, rest) if self.latent == "z" else (second, first, rest)


def statistics_weights(truncation: Tensor, steps: int) -> Tensor:
    """Weights [N, steps] of the rows of statistics at truncations [N, 1] from 0 to 1.

    As in pytorch-pretrained-biggan, whose published models expect it, the weights of the two
    neighbours are the wrong way round, and the row is found in Python's arithmetic: 0.58 / 0.02
    is 28.999..., not 29. Hence float64, and the decimal that float32 has rounded. The weights
    are constants: no derivative by the truncation is taken.
    """
    if steps == 1:
        return truncation.new_ones(1, 1)
    given = truncation.detach()
    exact = given.double()
    decimal = (exact * 1e6).round() / 1e6
    exact = torch.where(decimal.to(given.dtype) == given, decimal, exact)
    position = exact.clamp(0, 1) / (1 / (steps - 1))
    row = torch.arange(steps, device=given.device)
    start = position.floor()
    part = position - start
    between = part * (row == start) + (1 - part) * (row == start + 1)
    return torch.where(part == 0, (row == start).double(), between).to(given.dtype)


def apply(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution that keeps the size; its weight is a constant but in training."""
    if convolution.training:
        return F.conv2d(x, convolution.weight, convolution.bias, padding="same")
    return convolve(x, convolution.weight, convolution.bias)


def upsample(x: Tensor) -> Tensor:
    """Each pixel of x [N, C, H, W] twice in both directions."""
    return F.interpolate(x, scale_factor=2)


class BatchNorm(nn.Module):
    """Batch normalisation by stored statistics, in training by those of the batch.

    Weights of the stored statistics are [N, S], or [1, S] for all.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.empty(steps, channels))
        self.register_buffer("variance", torch.empty(steps, channels))

    def _normalise(self, x: Tensor, statistics: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        if self.training:
            x = F.batch_norm(x, None, None, training=True, eps=EPSILON)
            return x * gain[..., None, None] + bias[..., None, None]
        scale = gain * (statistics @ self.variance).rsqrt()
        shift = bias - statistics @ self.mean * scale
        return modulate(x, scale) + shift[:, :, None, None]


class ConditionalNorm(BatchNorm):
    """Gain and bias are linear in the condition: `{gain,bias}.weight` [C, condition]."""

    def __init__(self, channels: int, steps: int, condition: int) -> None:
        super().__init__(channels, steps)
        self.gain = nn.Linear(condition, channels, bias=False)
        self.bias = nn.Linear(condition, channels, bias=False)

    def forward(self, x: Tensor, condition: Tensor, statistics: Tensor) -> Tensor:
        gain, bias = 1 + self.gain(condition), self.bias(condition)
        return self._normalise(x, statistics, gain, bias)


class OutputNorm(BatchNorm):
    """Gain and bias [C] are constant."""

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__(channels, steps)
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, statistics: Tensor) -> Tensor:
        return self._normalise(x, statistics, self.gain, self.bias)


class Attention(nn.Module):
    """Self-attention of SAGAN (arXiv 1805.08318, section 3) with keys and values pooled 2 x 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.key = nn.Conv2d(channels, channels // 8, 1, bias=False)
        self.value = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.output = nn.Conv2d(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = apply(self.query, x).flatten(2)
        key, value = (F.max_pool2d(apply(c, x), 2).flatten(2) for c in (self.key, self.value))
        attention = (query.mT @ key).softmax(dim=-1)
        mixed = (value @ attention.mT).unflatten(2, x.shape[2:])
        return x + self.gamma * apply(self.output, mixed)
