"""What edits measure, batch by batch; what that needs of the original faces is made once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edited import Faces
from lowrankgan.metrics.masked import inside_outside, masked_mse
from lowrankgan.metrics.perceptual import Perceptual
from scores import Embedding, Scores


@dataclass(frozen=True)
class Edits:
    """Some edits of some faces.

    Attributes:
        images: [M, 3, R, R] in [0, 1].
        faces: [M] position of the face that each is an edit of.
        regions: [M] name of the region that each is to change.
    """

    images: Tensor
    faces: list[int]
    regions: list[str]

    def __getitem__(self, chosen: Sequence[int]) -> "Edits":
        images = self.images[list(chosen)]
        return Edits(images, [self.faces[i] for i in chosen], [self.regions[i] for i in chosen])


class Measures:
    """Every measure of edits of some faces.

    Args:
        faces: the originals, with their regions.
        trunks: LPIPS by name: `alex`, by which steps are matched, and `vgg` or not.
        scores: attributes of an image.
        embedding: by whose distances persons are told apart, or None.
    """

    def __init__(
        self,
        faces: Faces,
        trunks: Mapping[str, Perceptual],
        scores: Scores,
        embedding: Embedding | None = None,
    ) -> None:
        self._faces, self._trunks, self._scores = faces, trunks, scores
        self._embedding = embedding
        self._persons = embedding(faces.originals) if embedding else np.empty(0)
        self._features = {name: t.features(faces.originals) for name, t in trunks.items()}
        self._before = [
            {name: scores(image[None], mask[i][None]) for name, mask in faces.masks.items()}
            for i, image in enumerate(faces.originals)
        ]

    def changes(self, edits: Edits) -> list[dict[str, float]]:
        """MSE and LPIPS by AlexNet, inside and outside, of each edit."""
        masks, originals = self._masks(edits), self._faces.originals[edits.faces]
        columns = _both("mse", masked_mse(originals, edits.images, masks))
        return _rows(columns | self._distances("alex", edits, masks))

    def others(self, edits: Edits, vgg: Sequence[bool]) -> list[dict[str, float]]:
        """LPIPS of the composite, attributes, identity, and LPIPS by VGG, NaN where not wanted.

        The composite is the original with the region of the edit. Its LPIPS is what the change of
        the region alone amounts to in the whole picture. Outside, where it equals the original,
        features see the region too: an edit that leaves the rest alone has just that there.
        """
        masks, originals = self._masks(edits), self._faces.originals[edits.faces]
        alex, unedited = self._trunks["alex"], self._features["alex"][edits.faces]
        composite = alex.features(edits.images.where(masks[:, None], originals))
        columns = {"lpips_alex_composite": alex.distance(unedited, composite)}
        distances = alex.distance_map(unedited, composite)
        columns["lpips_alex_spill"] = inside_outside(distances, masks)[1]
        if "vgg" in self._trunks:
            columns |= self._by_vgg(edits, masks, vgg)
        if self._embedding:
            apart = self._embedding(edits.images) - self._persons[edits.faces]
            columns["identity"] = torch.from_numpy(np.linalg.norm(apart, axis=1))
        found = _rows(columns)
        for k, row in enumerate(found):
            before = self._before[edits.faces[k]][edits.regions[k]]
            after = self._scores(edits.images[k : k + 1], masks[k : k + 1])
            row |= {name: score - before[name] for name, score in after.items()}
        return found

    def _masks(self, edits: Edits) -> Tensor:
        pairs = zip(edits.regions, edits.faces, strict=True)
        return torch.stack([self._faces.masks[region][face] for region, face in pairs])

    def _by_vgg(self, edits: Edits, masks: Tensor, wanted: Sequence[bool]) -> dict[str, Tensor]:
        chosen = [k for k, one in enumerate(wanted) if one]
        unknown = masks.new_full((2, len(wanted)), torch.nan, dtype=torch.float32)
        columns = _both("lpips_vgg", (unknown[0], unknown[1]))
        if chosen:
            for name, found in self._distances("vgg", edits[chosen], masks[chosen]).items():
                columns[name][chosen] = found
        return columns

    def _distances(self, net: str, edits: Edits, masks: Tensor) -> dict[str, Tensor]:
        trunk, originals = self._trunks[net], self._features[net][edits.faces]
        distances = trunk.distance_map(originals, trunk.features(edits.images))
        return _both(f"lpips_{net}", inside_outside(distances, masks))


def _both(name: str, values: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    inside, outside = values
    return {f"{name}_inside": inside, f"{name}_outside": outside}


def _rows(columns: Mapping[str, Tensor]) -> list[dict[str, float]]:
    lists = {name: column.tolist() for name, column in columns.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
