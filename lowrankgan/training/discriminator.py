"""The projection discriminator (Miyato and Koyama, arXiv 1802.05637) with residual blocks."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lowrankgan.training.generator import normalise_spectrally


class Discriminator(nn.Module):
    """Scores images [N, 3, H, H] in [-1, 1] of labels [N]: higher is more real.

    Every block but the last halves the resolution; all weights are spectrally normalised.

    Args:
        channels: of the blocks, from the full resolution down.
        classes: number of classes.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        inputs = [3, *channels[:-1]]
        last = len(channels) - 1
        self.blocks = nn.Sequential(
            *(_Block(inputs[i], channels[i], i == 0, i < last) for i in range(len(channels)))
        )
        self.score = nn.Linear(channels[-1], 1)
        self.embedding = nn.Embedding(classes, channels[-1])
        for value in self.parameters():
            if value.ndim > 1:
                nn.init.orthogonal_(value)
            else:
                nn.init.zeros_(value)
        normalise_spectrally(self, (nn.Linear, nn.Conv2d, nn.Embedding))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        features = F.relu(self.blocks(images)).sum((2, 3))
        return self.score(features)[:, 0] + (self.embedding(labels) * features).sum(1)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, first: bool, halves: bool) -> None:
        super().__init__()
        self.activate = nn.Identity() if first else nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.pool = nn.AvgPool2d(2) if halves else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.conv2(F.relu(self.conv1(self.activate(x))))
        # Pooling commutes with the 1 x 1 convolution and leaves it a quarter of the pixels.
        return self.pool(residual) + self.shortcut(self.pool(x))
