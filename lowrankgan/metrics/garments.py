"""Scores of garments: what a classifier says, and simple measures of a region."""

import torch
from torch import Tensor

from lowrankgan.metrics.names import GARMENT_SCORES
from lowrankgan.training.classifier import Classifier

_GROUND = 0.1  # brightness in [0, 1] up to which a pixel is background


class GarmentScores:
    """Scores of one image, each in [0, 1].

    - class_probability: of the class that the image was made as.
    - width: from the leftmost to the rightmost pixel of the garment in the rows of the region,
      in fractions of the image, mean over those rows; 0 for a row without any.
    - coverage: share of the region's pixels that belong to the garment.
    - brightness: mean over the region.

    Args:
        classifier: of garments.
        label: the class that images were made as.
    """

    def __init__(self, classifier: Classifier, label: int) -> None:
        self._classifier, self._label = classifier, label

    @torch.no_grad()
    def __call__(self, image: Tensor, region: Tensor) -> dict[str, float]:
        """Scores by name of an image [1, 3, R, R] in [0, 1] with a region [1, R, R] bool."""
        grey, inside = image[0].mean(0), region[0]
        garment = grey > _GROUND
        side = garment.shape[1]
        position = torch.arange(side, device=grey.device)
        right = position.where(garment, -1).amax(1)
        left = position.where(garment, side).amin(1)
        widths = (right - left + 1).clamp(min=0)[inside.any(1)]
        probabilities = self._classifier(image * 2 - 1).softmax(1)
        values = (
            probabilities[0, self._label],
            widths.float().mean() / side,
            garment[inside].float().mean(),
            grey[inside].mean(),
        )
        return {name: float(value) for name, value in zip(GARMENT_SCORES, values, strict=True)}
