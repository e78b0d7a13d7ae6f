"""The filtered nonlinearity of StyleGAN3 (Karras et al., arXiv 2106.12423, section 3.2).

A leaky ReLU makes frequencies that a pixel grid cannot hold, so the signal is up-sampled before
it and low-pass filtered and down-sampled after it.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lowrankgan.generators.forward_mode import convolve


def filtered_leaky_relu(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    up: int,
    down: int,
    padding: Sequence[int],
    gain: float,
    slope: float,
    clamp: float | None,
) -> Tensor:
    """Up-sample, leaky ReLU, clamp, down-sample.

    Args:
        x: [N, C, H, W].
        up_filter, down_filter: low-pass filters of sum 1, [k] if separable, else [k, k]; None is
            none.
        up, down: factors.
        padding: left, right, top and bottom, of the up-sampled grid; negative values crop.
        gain, slope, clamp: of the leaky ReLU; the clamp comes after the gain.
    """
    n, channels, height, width = x.shape
    x = F.pad(x.reshape(n, channels, height, 1, width, 1), (0, up - 1, 0, 0, 0, up - 1))
    x = F.pad(x.reshape(n, channels, height * up, width * up), tuple(padding))
    x = _filter(x, up_filter, 1, float(up * up))
    x = F.leaky_relu(x, slope) * gain
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    return _filter(x, down_filter, down, 1.0)


def _filter(x: Tensor, taps: Tensor | None, stride: int, gain: float) -> Tensor:
    """Convolve every channel with a filter, keeping each `stride`-th row and column."""
    channels = x.shape[1]
    if taps is None:
        return x[:, :, ::stride, ::stride] * gain
    if taps.ndim == 2:
        kernel = (taps.flip((0, 1)) * gain).expand(channels, 1, -1, -1)
        return convolve(x, kernel, groups=channels, padding=0, stride=stride)
    kernel = (taps.flip(0) * gain**0.5).expand(channels, 1, 1, -1)
    x = convolve(x, kernel, groups=channels, padding=0, stride=(1, stride))
    return convolve(x, kernel.transpose(2, 3), groups=channels, padding=0, stride=(stride, 1))
