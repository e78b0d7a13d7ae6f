from itertools import pairwise

import torch
from torch import nn

from lowrankgan.generators.base import Generator
from lowrankgan.generators.readers.content import read_content


def test_images_equal_those_of_plain_modules(dcgan: Generator, dcgan_weights) -> None:
    """The same weights in PyTorch's own layers, with batch normalisation unfolded."""
    channels = [100, 512, 256, 128, 64, 3]
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(pairwise(channels)):
        stride, padding = (1, 0) if index == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if outputs > 3 else [nn.Tanh()]
    plain = nn.Sequential(*layers).eval()
    state = read_content(dcgan_weights / "weights.tar")["netG_state_dict"]
    plain.load_state_dict({key.removeprefix("main."): value for key, value in state.items()})
    z = torch.randn(3, 100, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = plain(z[:, :, None, None])
    image = dcgan.synthesis(dcgan.broadcast(dcgan.mapping(z)))
    assert image.shape == (3, 3, 64, 64)
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=0)


def test_truncation_scales_the_latent(dcgan: Generator) -> None:
    z = torch.randn(2, 100)
    torch.testing.assert_close(dcgan.truncate(dcgan.mapping(z), 0.5), z / 2)
