"""Jacobian of the image with respect to the latent (paper, section 3), by forward mode.

A generator has d = 512 inputs and 196,608 outputs at 256 px in RGB, so the d columns of forward
mode give the whole Jacobian where reverse mode takes a pass for every output. The generator is
linearised once; every column then costs about one forward pass.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.linearization import Derivative, Linearization
from lowrankgan.memory import shortage
from lowrankgan.progress import progress

Pixels = Literal["averaged", "published"]

log = logging.getLogger(__name__)

_CHUNK_LIMIT = {"cpu": 2, "cuda": 64}  # on a CPU larger chunks leave the cache and gain nothing
_MEMORY_SHARE = 0.5
_CHANNELS: dict[Pixels, int] = {"averaged": 3, "published": 1}


class RestrictedJacobian:
    """J V^T transposed: derivatives along some directions only, each as costly as a column of J.

    `columns[a:b]` is a tensor [b - a, C, resolution, resolution], computed when it is asked for.

    Args:
        image: `moved_image` of a generator; one linearisation serves many latents.
        ws: [L, D] W+ latent at which to differentiate.
        directions: V [k, n w_dim], rows; the offsets of n groups one after another.
        tangents: see `Jacobian`.
        chunk: see `Jacobian`.

    Attributes:
        tangents: dtype in which columns are propagated.

    Raises:
        LowRankGANError: see `Jacobian`.
    """

    def __init__(
        self,
        image: Linearization,
        ws: Tensor,
        directions: Tensor,
        tangents: torch.dtype | None = None,
        chunk: int | None = None,
    ) -> None:
        self._basis = directions.to(ws)
        with torch.no_grad():
            self._derivative = image.at(ws, tangents)
            self.shape = (len(directions), *self._derivative.shape)
            self.tangents = self._derivative.dtype
            self._chunk = chunk or _chunk_for_memory(self._derivative, self._basis[:1])

    def __len__(self) -> int:
        return self.shape[0]

    @torch.no_grad()
    def __getitem__(self, chosen: slice) -> Tensor:
        tangents = self._basis[chosen]
        columns = tangents.new_empty(len(tangents), *self.shape[1:])
        found = progress(self._columns(tangents), "Jacobian columns", len(tangents))
        for index, column in enumerate(found):
            columns[index] = column
        return columns

    def _columns(self, tangents: Tensor) -> Iterator[Tensor]:
        """Yield columns, propagated in chunks that shrink once memory has run out."""
        start = 0
        while start < len(tangents):
            try:
                block = self._derivative(tangents[start : start + self._chunk])
            except (RuntimeError, MemoryError) as error:
                asked = shortage(error)
                if asked is None:
                    raise
                if self._chunk == 1:
                    raise LowRankGANError(
                        f"memory is too small for one tangent of the Jacobian, which asked for "
                        f"{asked} more; lower jacobian.resolution or use a larger machine"
                    ) from error
                self._chunk //= 2
                log.warning("out of memory, going on with %d tangents at a time", self._chunk)
                continue
            if not torch.isfinite(block).all():
                raise LowRankGANError(
                    "the Jacobian holds values that are not finite; check the weights"
                )
            yield from block
            start += len(block)


class Jacobian(RestrictedJacobian):
    """J transposed at one latent, its rows computed when they are asked for.

    `jacobian[a:b]` is a tensor [b - a, C, resolution, resolution] in the generator's dtype and on
    its device: entry j is the derivative of the image (nominally in [-1, 1]) by component j of an
    offset that is added to the w of every chosen layer.

    Args:
        generator: written functionally, see `Generator`.
        ws: [L, D] W+ latent at which to differentiate.
        layers: slots that move together; those that an edit will move. What comes before the
            first of them is computed once, not for every column.
        resolution: side of the analysis grid.
        pixels: what the grid holds: "averaged" RGB over areas, C = 3, or "published" as the
            authors take it, the mean of RGB at the nearest neighbours, C = 1.
        tangents: dtype to propagate columns in, see `Linearization`; None is that of ws.
        chunk: tangents that are propagated together; None is two on a CPU, and what its free memory
            holds on a GPU. Either way it is halved when memory runs out.

    Attributes:
        tangents: dtype in which columns are propagated.

    Raises:
        LowRankGANError: memory is too small for a single tangent, or a value is not finite.
    """

    def __init__(
        self,
        generator: Generator,
        ws: Tensor,
        layers: Sequence[int],
        resolution: int,
        pixels: Pixels = "averaged",
        tangents: torch.dtype | None = None,
        chunk: int | None = None,
    ) -> None:
        image = moved_image(generator, [layers], resolution, pixels)
        basis = torch.eye(generator.w_dim)
        super().__init__(Linearization(image, basis[0].shape), ws, basis, tangents, chunk)


class GroupedJacobian:
    """J transposed where each group of layers has an offset of its own: their J side by side.

    `Jacobian`, with n w_dim rows for n groups, group after group. What is linearised is that of
    one group at a time, so that layers before a group cost nothing, and memory does not grow.

    Args:
        generator: written functionally, see `Generator`.
        ws: [L, D] W+ latent at which to differentiate.
        groups: slots of each group.
        resolution: side of the analysis grid.
        pixels: see `Jacobian`.
        tangents: see `Jacobian`.
        chunk: see `Jacobian`.

    Attributes:
        tangents: dtypes in which columns of the groups so far were propagated.

    Raises:
        LowRankGANError: see `Jacobian`.
    """

    def __init__(
        self,
        generator: Generator,
        ws: Tensor,
        groups: Sequence[Sequence[int]],
        resolution: int,
        pixels: Pixels = "averaged",
        tangents: torch.dtype | None = None,
        chunk: int | None = None,
    ) -> None:
        def of_group(index: int) -> Jacobian:
            return Jacobian(generator, ws, groups[index], resolution, pixels, tangents, chunk)

        self._of_group = of_group
        self._current: tuple[int, Jacobian] | None = None
        self.tangents: set[torch.dtype] = set()
        self._w_dim, self._ws = generator.w_dim, ws
        self.shape = (len(groups) * generator.w_dim, _CHANNELS[pixels], resolution, resolution)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, chosen: slice) -> Tensor:
        rows, w_dim = range(len(self))[chosen], self._w_dim
        columns = self._ws.new_empty(len(rows), *self.shape[1:])
        position = rows.start
        while position < rows.stop:
            index, start = divmod(position, w_dim)
            stop = min(w_dim, start + rows.stop - position)
            place = position - rows.start
            columns[place : place + stop - start] = self._group(index)[start:stop]
            position += stop - start
        return columns

    def _group(self, index: int) -> Jacobian:
        """J of one group. The one before goes first: two linearisations would take twice as much
        memory, which is gigabytes at 1024 px."""
        if self._current is None or self._current[0] != index:
            self._current = None
            self._current = index, self._of_group(index)
            self.tangents.add(self._current[1].tangents)
        return self._current[1]


def jacobian(
    generator: Generator,
    ws: Tensor,
    layers: Sequence[int],
    resolution: int,
    chunk: int | None = None,
) -> Tensor:
    """The whole of `Jacobian` at once, [w_dim, 3, resolution, resolution] on the CPU."""
    return Jacobian(generator, ws, layers, resolution, chunk=chunk)[:].cpu()


def moved_image(
    generator: Generator,
    groups: Sequence[Sequence[int]],
    resolution: int,
    pixels: Pixels = "averaged",
) -> Callable[[Tensor, Tensor], Tensor]:
    """The image [C, R, R], nominally in [-1, 1], of a W+ latent [L, D] and what is added to it.

    Args:
        generator: written functionally, see `Generator`.
        groups: slots of each of n groups of layers; the function takes their offsets [n w_dim].
        resolution: side R of the analysis grid.
        pixels: see `Jacobian`.
    """
    group_of = {layer: index for index, layers in enumerate(groups) for layer in layers}

    def image(ws: Tensor, offset: Tensor) -> Tensor:
        parts = F.pad(offset.unflatten(0, (len(groups), -1)), (0, generator.carried_dim))
        slots = [
            w + parts[group_of[layer]] if layer in group_of else w
            for layer, w in enumerate(ws[:, None])
        ]
        if pixels == "averaged":
            return generator.forward_averaged(slots, resolution)[0]
        return _grey_nearest(generator(slots)[0], resolution)

    return image


def _grey_nearest(image: Tensor, resolution: int) -> Tensor:
    """Image [3, H, H] as the published code resizes it, [1, resolution, resolution]."""
    nearest = torch.arange(resolution, device=image.device) * image.shape[-1] // resolution
    return image.mean(0, keepdim=True)[:, nearest][:, :, nearest]


def _chunk_for_memory(derivative: Derivative, tangent: Tensor) -> int:
    """Number of tangents at a time: on a GPU what half of its free memory holds."""
    limit = _CHUNK_LIMIT.get(tangent.device.type, 1)
    if not tangent.is_cuda:
        return limit
    torch.cuda.reset_peak_memory_stats(tangent.device)
    before = torch.cuda.memory_allocated(tangent.device)
    derivative(tangent)
    need = torch.cuda.max_memory_allocated(tangent.device) - before
    free = torch.cuda.mem_get_info(tangent.device)[0]
    return max(1, min(limit, int(_MEMORY_SHARE * free / max(need, 1))))
