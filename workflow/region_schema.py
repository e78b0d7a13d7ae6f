"""Settings of the shapes that a region is made of."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workflow.setting_types import Count, Fraction, Strict


class Box(Strict):
    """Rectangle in fractions of the image, y down."""

    kind: Literal["box"]
    top: Fraction
    left: Fraction
    bottom: Fraction
    right: Fraction

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.top >= self.bottom or self.left >= self.right:
            raise ValueError("expected top < bottom and left < right")
        return self


class PixelBox(Strict):
    """Rectangle as the paper gives it: centre and size in pixels of a square grid."""

    kind: Literal["pixel_box"]
    grid: Count
    row: int
    column: int
    height: Count
    width: Count

    @model_validator(mode="after")
    def _inside(self) -> Self:
        top, left = self.row - self.height // 2, self.column - self.width // 2
        if min(top, left) < 0 or max(top + self.height, left + self.width) > self.grid:
            raise ValueError(
                f"rows {top} to {top + self.height} and columns {left} to {left + self.width} "
                f"leave the image; keep them within 0 to {self.grid}"
            )
        return self


class Polygon(Strict):
    """Polygon with (x, y) vertices in fractions of the image, y down."""

    kind: Literal["polygon"]
    points: Annotated[tuple[tuple[Fraction, Fraction], ...], Field(min_length=3)]


class MaskImage(Strict):
    """Picture whose bright half is the region."""

    kind: Literal["mask"]
    path: str


class LandmarkHull(Strict):
    """Convex hull of landmarks of the 468-point face mesh, found in every image."""

    kind: Literal["landmarks"]
    indices: Annotated[tuple[Annotated[int, Field(ge=0, lt=468)], ...], Field(min_length=3)]
    margin: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class Union(Strict):
    """Pixels of any of the parts."""

    kind: Literal["union"]
    parts: Annotated[tuple["Region", ...], Field(min_length=1)]


class Complement(Strict):
    """Pixels that are not of the region."""

    kind: Literal["complement"]
    of: "Region"


Region = Annotated[
    Box | PixelBox | Polygon | MaskImage | LandmarkHull | Union | Complement,
    Field(discriminator="kind"),
]
