"""The reverse derivative of convolutions whose weights are constant, against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F
from torch.func import vjp

from lowrankgan.generators.forward_mode import Size, convolve


@pytest.mark.parametrize(
    ("kernel", "groups", "padding", "stride"),
    [(1, 1, 0, 1), (3, 1, 1, 1), (3, 4, 1, 1), (3, 2, 0, 2), (3, 4, 0, (1, 3)), (2, 1, 1, (3, 2))],
)
def test_the_gradient_is_that_of_pytorch_in_the_format_of_the_input(
    kernel: int, groups: int, padding: int, stride: Size
) -> None:
    # With 9 x 10 pixels some strides leave a last row or column unseen, whose gradient is zero.
    seeded = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 9, 10, generator=seeded, dtype=torch.float64)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(8, 4 // groups, kernel, kernel, generator=seeded, dtype=torch.float64)
    y, pull = vjp(lambda x: convolve(x, weight, None, groups, padding, stride), x)
    cotangent = torch.randn_like(y)
    (gradient,) = pull(cotangent)
    leaf = x.clone().requires_grad_()
    expected = F.conv2d(leaf, weight, None, stride, padding, groups=groups)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, leaf, cotangent)[0])
    assert gradient.is_contiguous(memory_format=torch.channels_last)
