"""BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch: a state dict such as `G_ema.pth`.

Keys are `shared.weight`, `linear.*`, `blocks.{i}.0.*` (a block), `blocks.{i}.1.*` (attention after
it) and `output_layer.{0,2}.*`, perhaps inside of a wrapper or with the prefix `module.`. Nothing
else is in the file: the architecture is inferred from the shapes, and `DEFAULTS` has what shapes
do not tell.

Statistics of batch normalisation have three names. `stored_mean` is PyTorch's batch norm,
`bn.stored_mean` the repository's own, whose standing statistics are sums to be divided by their
`accumulation_counter`. `bn.running_mean` is the synchronised one (`cross_replica`), which in
evaluation, and in training on a single device, adds the gain where it should multiply by it
(issue 96 of the repository).

Spectral normalisation takes one step of the power iteration in evaluation too, from the stored
vector, which stays as it is: the norm that results is a constant, applied here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint
from lowrankgan.generators.formats.state_dict import positive, take, unwrapped

# BN_eps and SN_eps are options of the same name there, as its launch scripts set them. SN_eps
# only counts for weights that vanish. cross_replica_gain is "multiply" for a model that was
# trained with synchronised batch norm on several devices, where the gain does multiply.
DEFAULTS: dict[str, Any] = {"BN_eps": 1e-5, "SN_eps": 1e-6, "cross_replica_gain": "add"}

_MOST_CLASSES = 10_000  # that are embedded one-hot
_OUTPUT_EPS = 1e-5  # that of the last batch norm, whatever BN_eps is
_STATISTICS = (
    ("stored_mean", "stored_var"),
    ("bn.stored_mean", "bn.stored_var"),
    ("bn.running_mean", "bn.running_var"),
)


def recognises(content: Any) -> bool:
    """Whether a content tree has this format."""
    state = unwrapped(content)
    return all(
        key in state
        for key in ("linear.weight", "blocks.0.0.conv1.weight", "output_layer.2.weight")
    )


def convert(content: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The generator with spectral normalisation applied.

    Raises:
        LowRankGANError: weights are missing, of a wrong shape, or of a variant without batch
            normalisation or that the repository itself cannot run.
    """
    chosen = {**DEFAULTS, **options}
    if chosen["cross_replica_gain"] not in ("add", "multiply"):
        raise LowRankGANError("cross_replica_gain: expected 'add' or 'multiply'")
    source = _Source(unwrapped(content), chosen)
    state = {"embedding.weight": source.embedding(), **source.layer("linear", "linear", 2)}
    if source.deep:
        state["linear.weight"] = source.z_first(state["linear.weight"])
    count = len({key.split(".")[1] for key in source.state if key.startswith("blocks.")})
    for index in range(count):
        state |= source.block(index)
    state |= source.output()
    settings = {"upsampling": _upsampling(state, count)} if source.deep else {}
    architecture, title = ("biggan_deep", "BigGAN-deep") if source.deep else ("biggan", "BigGAN")
    title += " of ajbrock/BigGAN-PyTorch"
    return Checkpoint(architecture, settings, state, title, source.assumed(options))


def _upsampling(state: Mapping[str, Tensor], count: int) -> list[bool]:
    """The last block of each stage doubles the resolution.

    A stage has two blocks, the only depth that fits together where channels are halved. At 32 px
    they never are, and there are three stages.
    """
    widths = {state[f"blocks.{i}.norm1.mean"].shape[1] for i in range(count)}
    depth, rest = divmod(count, 3) if len(widths) == 1 else (2, count % 2)
    if rest or not depth:
        raise LowRankGANError(f"blocks: {count} of them do not make up the stages of a BigGAN-deep")
    return [index % depth == depth - 1 for index in range(count)]


@dataclass(frozen=True)
class _Source:
    """The tensors of the file, by its own names, and what is chosen for the rest."""

    state: Mapping[str, Any]
    chosen: Mapping[str, Any]

    @property
    def deep(self) -> bool:
        return "blocks.0.0.conv4.weight" in self.state

    @property
    def spectral(self) -> bool:
        return any(key.endswith(".u0") for key in self.state)

    @property
    def shared(self) -> bool:
        return "shared.weight" in self.state

    def embedding(self) -> Tensor:
        """[classes, y]; one-hot vectors where every norm has embeddings of its own."""
        own = "blocks.0.0.bn1.gain"
        if self.shared or self.deep or f"{own}.u0" in self.state:  # an embedding has no u0
            return take(self.state, "shared.weight", -1, -1)
        classes = len(take(self.state, f"{own}.weight", -1, -1))
        if classes > _MOST_CLASSES:
            raise LowRankGANError(f"{own}.weight has {classes} classes, at most {_MOST_CLASSES}")
        return torch.eye(classes)

    def weight(self, name: str, ndim: int) -> Tensor:
        weight = take(self.state, f"{name}.weight", *[-1] * ndim)
        if not self.spectral:
            return weight
        u = take(self.state, f"{name}.u0", 1, len(weight)).double()
        matrix = weight.double().flatten(1)
        eps = positive("SN_eps", self.chosen["SN_eps"])
        product = F.normalize(u @ matrix, eps=eps) @ matrix.T
        sigma = (product * F.normalize(product, eps=eps)).sum()
        return (weight / sigma).float()

    def layer(self, target: str, name: str, ndim: int) -> dict[str, Tensor]:
        weight = self.weight(name, ndim)
        bias = take(self.state, f"{name}.bias", len(weight))
        return {f"{target}.weight": weight, f"{target}.bias": bias}

    def z_first(self, weight: Tensor) -> Tensor:
        """A weight [., y + z] as [., z + y]."""
        return weight.roll(-self.state["shared.weight"].shape[1], dims=1)

    def block(self, index: int) -> dict[str, Tensor]:
        name, target = f"blocks.{index}.0", f"blocks.{index}"
        state: dict[str, Tensor] = {}
        for number in range(1, 5 if self.deep else 3):
            state |= self.norm(f"{target}.norm{number}", f"{name}.bn{number}")
            state |= self.layer(f"{target}.conv{number}", f"{name}.conv{number}", 4)
        if not self.deep:
            state |= self.layer(f"{target}.shortcut", f"{name}.conv_sc", 4)
        if any(key.startswith(f"blocks.{index}.1.") for key in self.state):
            state |= self.attention(f"attentions.{index + 1}", f"blocks.{index}.1")
        return state

    def attention(self, target: str, name: str) -> dict[str, Tensor]:
        names = {"query": "theta", "key": "phi", "value": "g", "output": "o"}
        weights = {
            f"{target}.{to}.weight": self.weight(f"{name}.{of}", 4) for to, of in names.items()
        }
        return {**weights, f"{target}.gamma": take(self.state, f"{name}.gamma")}

    def norm(self, target: str, name: str) -> dict[str, Tensor]:
        gain, bias = (self.conditional(f"{name}.{part}") for part in ("gain", "bias"))
        mean, variance, added = self.statistics(
            name, len(gain), positive("BN_eps", self.chosen["BN_eps"])
        )
        if added:  # the gain is 1 + gain: its 1 becomes a shift of the mean
            mean, gain, bias = mean - variance.sqrt(), torch.zeros_like(gain), gain + bias
        return {
            f"{target}.gain.weight": gain,
            f"{target}.bias.weight": bias,
            f"{target}.mean": mean,
            f"{target}.variance": variance,
        }

    def conditional(self, name: str) -> Tensor:
        """Weight [C, condition], z first, of a gain or a bias."""
        if self.shared:
            return self.z_first(self.weight(name, 2))
        return take(self.state, f"{name}.weight", -1, -1).T.contiguous()

    def statistics(self, name: str, channels: int, eps: float) -> tuple[Tensor, Tensor, bool]:
        """Mean and variance [1, C], epsilon in the variance, and whether the gain is added."""
        names = next((pair for pair in _STATISTICS if f"{name}.{pair[0]}" in self.state), None)
        if names is None:
            raise LowRankGANError(
                f"{name}.stored_mean is missing, expected in a BigGAN with batch normalisation"
            )
        both = torch.stack([take(self.state, f"{name}.{key}", channels) for key in names])
        counter = f"{name}.bn.accumulation_counter"
        if counter in self.state and (times := take(self.state, counter, 1)) > 0:
            both = both / times
        added = names[0] == "bn.running_mean" and self.chosen["cross_replica_gain"] == "add"
        return both[:1], both[1:] + eps, added

    def output(self) -> dict[str, Tensor]:
        name = "output_layer.0"
        gain = take(self.state, f"{name}.gain", -1)
        bias = take(self.state, f"{name}.bias", len(gain))
        mean, variance, added = self.statistics(name, len(gain), _OUTPUT_EPS)
        if added:
            gain, bias = torch.ones_like(gain), gain + bias
        return {
            "output_norm.gain": gain,
            "output_norm.bias": bias,
            "output_norm.mean": mean,
            "output_norm.variance": variance,
            **self.layer("output", "output_layer.2", 4),
        }

    def assumed(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Sentences about the defaults that this file needs and nobody set."""
        synchronised = "output_layer.0.bn.running_mean" in self.state
        needed = {"BN_eps": True, "SN_eps": self.spectral, "cross_replica_gain": synchronised}
        return tuple(
            f"{key} is {self.chosen[key]}, which the file does not tell"
            for key, applies in needed.items()
            if applies and key not in options
        )
