"""Whether an edited face is still that of the same person, by a face recognition network.

King, "High Quality Face Recognition with Deep Metric Learning", dlib.net, 2017: a residual network
of 29 layers, for which two faces are of one person if their embeddings are less than 0.6 apart
(99.38 % right on Labeled Faces in the Wild).
"""

from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.metrics.attributes import LEFT_EYE, RIGHT_EYE

SIZE = 128
# Outer and inner corner of the eye on the right, of that on the left, and the base of the nose: in
# MediaPipe's face mesh, and where dlib's mean face has them in the unit square.
_POINTS = [*(eye[corner] for eye in (RIGHT_EYE, LEFT_EYE) for corner in ("outer", "inner")), 2]
_PLACES = np.array(
    [
        0.8595674595992 + 0.2134981538014j,
        0.6460604764104 + 0.2289674387677j,
        0.1205750620789 + 0.2137274526848j,
        0.3340850613712 + 0.2290642403242j,
        0.4901123135679 + 0.6277975316475j,
    ]
)
_CHIP, _PADDING = 150, 0.25  # pixels of the network's input; margin around the unit square
_SIDE = 256  # of an FFHQ-aligned image whose face is as large as that


class FaceIdentity:
    """Embeddings of faces whose distances say whether they are of one person; on the CPU.

    Args:
        model: `dlib_face_recognition_resnet_model_v1.dat` as face_recognition_models 0.3.0 has it.

    Raises:
        LowRankGANError: the file is missing or is not this model.
    """

    def __init__(self, model: Path) -> None:
        try:
            self._model = dlib.face_recognition_model_v1(str(model))
        except RuntimeError as error:
            raise LowRankGANError(
                f"{model}: is not there or is not dlib's face recognition model"
            ) from error

    def __call__(self, images: Tensor, points: NDArray[Any]) -> NDArray[np.float64]:
        """Embed faces; the Euclidean distance of two embeddings is that of the faces.

        Args:
            images: RGB [N, 3, H, H]. Nominally in [0, 1]; clamped to it, as a viewer would see
                them.
            points: of `FaceLandmarks` [N, 468, 2], as fractions of the image's side.

        Returns:
            [N, 128], NaN where the points are.
        """
        found = np.full((len(images), SIZE), np.nan)
        for row, image, mesh in zip(found, images, points, strict=True):
            if np.isfinite(mesh).all():
                row[:] = self._model.compute_face_descriptor(_chip(image, mesh[_POINTS]))
        return found


def _chip(image: Tensor, points: NDArray[Any]) -> NDArray[np.uint8]:
    """The face as the network is to see it [150, 150, 3]: five points where the mean face has them.

    By a similarity, the least squares one, a linear function of complex numbers. dlib's own takes
    points in whole pixels: at 256 px, rounding them moves an unchanged face by up to 0.1.
    """
    places = (_PLACES + _PADDING * (1 + 1j)) / (1 + 2 * _PADDING)
    corners = points[:, 0] + 1j * points[:, 1]
    away, moved = places - places.mean(), corners - corners.mean()
    scale = np.vdot(away, moved) / np.vdot(away, away)
    centres = (np.arange(_CHIP) + 0.5) / _CHIP
    sources = scale * (centres + 1j * centres[:, None] - places.mean()) + corners.mean()
    grid = torch.from_numpy(2 * np.stack([sources.real, sources.imag], axis=-1) - 1)
    face = image.detach().to("cpu", torch.float64).clamp(0, 1)[None]
    face = F.interpolate(face, (_SIDE, _SIDE), mode="bilinear", antialias=True)
    chip = F.grid_sample(face, grid[None], align_corners=False)[0]
    return np.ascontiguousarray((255 * chip).round().to(torch.uint8).permute(1, 2, 0).numpy())
