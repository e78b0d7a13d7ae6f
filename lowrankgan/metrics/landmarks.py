"""Face landmarks: 468 points of MediaPipe's face mesh, on FFHQ-aligned faces.

Kartynnik, Ablavatski, Grishchenko, Grundmann, "Real-time Facial Surface Geometry from Monocular
Video on Mobile GPUs", CVPR workshops 2019; the model `face_landmark.tflite` of MediaPipe.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from torch import Tensor

from lowrankgan.errors import LowRankGANError

POINTS = 468
# The alignment of FFHQ puts every face into this part of the image, so no detector is needed.
_LEFT, _RIGHT, _TOP, _BOTTOM = 16 / 256, 240 / 256, 24 / 256, 248 / 256
_INPUT = 192
# The model's face flag is a logit. Measured at 256 px on MobileStyleGAN's FFHQ: 25 to 40 on 16
# faces of truncation 0.7, 15 to 37 on 40 of truncation 1, -5 to 13 on all of them upside down,
# below 0 on noise, blank and black images and negatives.
_MIN_SCORE = 14.0


class FaceLandmarks:
    """Finds the points of the face mesh on FFHQ-aligned faces, on the CPU, in some 4 ms each.

    Args:
        model: `face_landmark.tflite` as MediaPipe 0.10.21 has it.

    Raises:
        LowRankGANError: the file is missing or is not this model.
    """

    def __init__(self, model: Path) -> None:
        try:
            self._interpreter = Interpreter(model_path=str(model), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise LowRankGANError(f"{model}: is not there or is not a TFLite model") from error
        (image,) = self._interpreter.get_input_details()
        outputs = {int(np.prod(o["shape"])): o for o in self._interpreter.get_output_details()}
        if tuple(image["shape"]) != (1, _INPUT, _INPUT, 3) or outputs.keys() != {3 * POINTS, 1}:
            raise LowRankGANError(f"{model}: is not MediaPipe's face_landmark.tflite")
        self._image = image["index"]
        self._points, self._score = (outputs[size]["index"] for size in (3 * POINTS, 1))

    def __call__(self, images: Tensor | NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Find the landmarks of faces.

        Args:
            images: RGB [N, 3, H, H], square and FFHQ-aligned. Nominally in [0, 1]; clamped to it,
                as a viewer would see them.

        Returns:
            Points [N, 468, 2] float64, (x, y) as fractions of the image's side, and face scores
            [N] float64 (logits). Points are NaN where the score says that this is no upright face.

        Raises:
            LowRankGANError: the images have another shape.
        """
        batch = torch.as_tensor(images, dtype=torch.float32, device="cpu")
        if batch.ndim != 4 or batch.shape[1] != 3 or batch.shape[2] != batch.shape[3]:
            raise LowRankGANError(f"images: expected [N, 3, H, H], got {list(batch.shape)}")
        side = batch.shape[3]
        left, right, top, bottom = (round(side * f) for f in (_LEFT, _RIGHT, _TOP, _BOTTOM))
        crops = F.interpolate(
            batch[:, :, top:bottom, left:right].clamp(0, 1),
            (_INPUT, _INPUT),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        found = [self._run(crop) for crop in crops.permute(0, 2, 3, 1).numpy()]
        points = np.array([p for p, _ in found]).reshape(-1, POINTS, 3)[..., :2] / _INPUT
        points = (points * (right - left, bottom - top) + (left, top)) / side
        scores = np.array([score for _, score in found])
        points[scores < _MIN_SCORE] = np.nan
        return points, scores

    def _run(self, crop: NDArray[Any]) -> tuple[NDArray[Any], float]:
        self._interpreter.set_tensor(self._image, np.ascontiguousarray(crop[None]))
        self._interpreter.invoke()
        points = self._interpreter.get_tensor(self._points).astype(np.float64)
        return points, float(self._interpreter.get_tensor(self._score).item())
