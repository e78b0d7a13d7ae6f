"""Regions of interest as boolean masks (paper, section 3), at any resolution.

Every region is defined once, independently of the grid: in fractions of the image, in pixels of
a named grid, by a picture, by other regions, or by face landmarks of each image.
"""

import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lowrankgan.errors import LowRankGANError

Mask = NDArray[np.bool_]
Points = NDArray[np.floating]


class Region(ABC):
    """A part of the image."""

    @abstractmethod
    def mask(self, resolution: int, landmarks: Points | None = None) -> Mask:
        """Rasterise: pixels whose centre lies inside.

        Args:
            resolution: side R of the square grid.
            landmarks: [points, 2] (x, y) in fractions of the image, for regions that follow them.

        Returns:
            [R, R] bool; it may be empty on a coarse grid.

        Raises:
            LowRankGANError: landmarks or a mask file are needed and cannot be had.
        """

    @property
    def needs_landmarks(self) -> bool:
        """Whether the mask differs between images."""
        return False


@dataclass(frozen=True)
class Box(Region):
    """Rectangle in fractions of the image, half open, x to the right and y down."""

    top: float
    left: float
    bottom: float
    right: float

    def mask(self, resolution: int, landmarks: Points | None = None) -> Mask:
        centres = (np.arange(resolution) + 0.5) / resolution
        rows = (centres >= self.top) & (centres < self.bottom)
        columns = (centres >= self.left) & (centres < self.right)
        return rows[:, None] & columns[None, :]

    @staticmethod
    def centred(row: int, column: int, height: int, width: int, grid: int) -> "Box":
        """The published boxes: centre and size in pixels of a grid; rows from row - height // 2."""
        top, left = row - height // 2, column - width // 2
        return Box(top / grid, left / grid, (top + height) / grid, (left + width) / grid)


@dataclass(frozen=True)
class Polygon(Region):
    """Polygon with (x, y) vertices in fractions of the image, by the even-odd rule.

    Half open like `Box`: a polygon of its four corners is the same pixels.
    """

    points: Sequence[tuple[float, float]]

    def mask(self, resolution: int, landmarks: Points | None = None) -> Mask:
        centres = (np.arange(resolution) + 0.5) / resolution
        inside = np.zeros((resolution, resolution), dtype=bool)
        for (x, y), (next_x, next_y) in zip(self.points, np.roll(self.points, -1, 0), strict=True):
            crossed = (centres >= y) != (centres >= next_y)  # rows whose line meets this side
            meets = x + (centres[crossed] - y) / (next_y - y) * (next_x - x)
            inside[crossed] ^= centres < meets[:, None]
        return inside


@dataclass(frozen=True)
class MaskImage(Region):
    """Picture whose bright half of the grey scale is the region; a `sha256` must be the file's."""

    path: Path
    sha256: str | None = None

    def mask(self, resolution: int, landmarks: Points | None = None) -> Mask:
        try:
            content = self.path.read_bytes()
            with Image.open(io.BytesIO(content)) as picture:
                grey = picture.convert("L").resize((resolution, resolution), Image.Resampling.BOX)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise LowRankGANError(f"{self.path}: mask cannot be read as a picture") from error
        if self.sha256 not in (None, hashlib.sha256(content).hexdigest()):
            raise LowRankGANError(
                f"{self.path}: the mask has changed since the run began; run again"
            )
        return np.asarray(grey) >= 128


@dataclass(frozen=True)
class Landmarks(Region):
    """Convex hull of some landmarks of each image, grown by a margin in fractions of the image."""

    indices: Sequence[int]
    margin: float

    @property
    def needs_landmarks(self) -> bool:
        return True

    def mask(self, resolution: int, landmarks: Points | None = None) -> Mask:
        # Here, for a plan draws regions too, and this takes half of its time to start.
        from scipy.spatial import ConvexHull, QhullError

        if landmarks is None or not np.isfinite(landmarks).all():
            raise LowRankGANError("no face was found; choose other seeds, or lower sample.psi")
        try:
            points = landmarks[list(self.indices)]
            corners = points[ConvexHull(points).vertices]
        except (IndexError, QhullError) as error:
            raise LowRankGANError(
                "landmark indices of a region span no area or do not exist"
            ) from error
        centre = corners.mean(0)
        outward = corners - centre
        reach = np.linalg.norm(outward, axis=1, keepdims=True)
        grown = centre + outward * (1 + self.margin / reach)
        return Polygon([(float(x), float(y)) for x, y in grown]).mask(resolution)


@dataclass(frozen=True)
class Union(Region):
    """Pixels of any of the regions."""

    parts: Sequence[Region]

    @property
    def needs_landmarks(self) -> bool:
        return any(part.needs_landmarks for part in self.parts)

    def mask(self, resolution: int, landmarks: Points | None = None) -> Mask:
        masks = [part.mask(resolution, landmarks) for part in self.parts]
        return np.any(masks, axis=0)


@dataclass(frozen=True)
class Complement(Region):
    """Pixels that are not of the region."""

    of: Region

    @property
    def needs_landmarks(self) -> bool:
        return self.of.needs_landmarks

    def mask(self, resolution: int, landmarks: Points | None = None) -> Mask:
        return ~self.of.mask(resolution, landmarks)


def region_mask(
    name: str, region: Region, resolution: int, landmarks: Points | None = None
) -> Mask:
    """`Region.mask`, refused by the region's name where it leaves nothing inside or outside.

    Raises:
        LowRankGANError: see `Region.mask`, or the mask covers nothing or everything.
    """
    try:
        mask = region.mask(resolution, landmarks)
    except LowRankGANError as error:
        raise LowRankGANError(f"region.{name}: {error}") from error
    if mask.all() or not mask.any():
        raise LowRankGANError(
            f"region.{name}: covers {mask.mean():.0%} of the {resolution} px grid, "
            "expected a part of it; enlarge it, or raise the resolution"
        )
    return mask


def build_region(spec: Mapping[str, Any]) -> Region:
    """A region from plain values, `kind` and that kind's fields, as `conf/region` has them.

    Raises:
        LowRankGANError: the kind is unknown.
    """
    fields = {key: value for key, value in spec.items() if key not in ("kind", "sha256")}
    match spec["kind"]:
        case "box":
            return Box(**fields)
        case "pixel_box":
            return Box.centred(**fields)
        case "polygon":
            return Polygon(**fields)
        case "mask":
            return MaskImage(Path(fields["path"]), spec.get("sha256"))
        case "landmarks":
            return Landmarks(**fields)
        case "union":
            return Union([build_region(part) for part in fields["parts"]])
        case "complement":
            return Complement(build_region(fields["of"]))
        case kind:
            raise LowRankGANError(f"region kind {kind!r} is unknown, see conf/region for examples")
