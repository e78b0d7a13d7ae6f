"""The filtered nonlinearity of StyleGAN3 (Karras et al., arXiv 2106.12423, section 3.2).

A leaky ReLU makes frequencies that a pixel grid cannot hold, so the signal is up-sampled before
it and low-pass filtered and down-sampled after it.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from lowrankgan.generators.forward_mode import convolve, convolve_transposed


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
        up_filter: low-pass filter [k] of sum 1, applied along both axes; None is none.
        down_filter: the same, or [k, k] if it is not separable.
        up, down: factors.
        padding: left, right, top and bottom, of the up-sampled grid; negative values crop.
        gain: of the leaky ReLU, above 0.
        slope: of the leaky ReLU below 0.
        clamp: bound of what is down-sampled, after the gain; None is no bound.

    Returns:
        [N, C, H', W'], H' being ((H up + top + bottom - k_up + 1) - k_down) / down + 1, rounded
        down, where there are both filters, and W' likewise.
    """
    taps = x.new_ones(1) if up_filter is None else up_filter
    # A positive gain commutes with the leaky ReLU: here it costs no pass over memory.
    x = _up_sample(x, taps * (up * gain**0.5), up, padding)
    x = F.leaky_relu(x, slope)
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    return _down_sample(x, down_filter, down)


def _up_sample(x: Tensor, taps: Tensor, factor: int, padding: Sequence[int]) -> Tensor:
    """Put zeros between samples, pad, and convolve along both axes, without computing zeros."""
    rest = []
    for axis in (3, 2):
        low, high = padding[:2] if axis == 3 else padding[2:]
        # The transposed convolution gives every sample that a filter's end can reach.
        start, end = len(taps) - 1 - low, len(taps) - factor - high
        crop = max(0, min(start, end, len(taps) - 1))
        rest += [crop - start, crop - end]
        kernel = taps.view([-1 if index == axis else 1 for index in range(4)])
        x = convolve_transposed(
            x,
            kernel.expand(x.shape[1], -1, -1, -1),
            stride=(1, factor) if axis == 3 else (factor, 1),
            padding=(0, crop) if axis == 3 else (crop, 0),
            groups=x.shape[1],
        )
    return F.pad(x, rest) if any(rest) else x


def _down_sample(x: Tensor, taps: Tensor | None, factor: int) -> Tensor:
    """Convolve and keep each `factor`-th row and column."""
    channels = x.shape[1]
    if taps is None:
        return x[:, :, ::factor, ::factor]
    if taps.ndim == 2:
        kernel = taps.flip((0, 1)).expand(channels, 1, -1, -1)
        return convolve(x, kernel, groups=channels, padding=0, stride=factor)
    kernel = taps.flip(0).expand(channels, 1, 1, -1)
    x = convolve(x, kernel, groups=channels, padding=0, stride=(1, factor))
    return convolve(x, kernel.transpose(2, 3), groups=channels, padding=0, stride=(factor, 1))
