"""Jacobian of the image with respect to the latent (paper, section 3), by forward mode.

A generator has d = 512 inputs and 196,608 outputs at 256 px in RGB, so the d columns of forward
mode give the whole Jacobian where reverse mode takes a pass for every output. The generator is
linearised once; every column then costs about one forward pass.
"""

import logging
import resource
import warnings
from collections.abc import Callable, Iterator, Sequence

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jvp, linearize, vmap

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.progress import progress

log = logging.getLogger(__name__)

_CHUNK_LIMIT = {"cpu": 2, "cuda": 64}  # on a CPU larger chunks leave the cache and gain nothing
_MEMORY_SHARE = 0.5


def jacobian(
    generator: Generator,
    ws: Tensor,
    layers: Sequence[int],
    resolution: int,
    chunk: int | None = None,
) -> Tensor:
    """Differentiate the area-averaged RGB image with respect to the w of some layers.

    Args:
        generator: written functionally, see `Generator`.
        ws: [L, D] W+ latent at which to differentiate.
        layers: slots that move together; those that an edit will move.
        resolution: side of the analysis grid that the image is averaged to.
        chunk: tangents that are propagated together; None adapts it to the free memory. Either
            way it is halved when memory runs out.

    Returns:
        J transposed, [w_dim, 3, resolution, resolution] in the generator's dtype on the CPU:
        entry j is the derivative of the image (nominally in [-1, 1]) by component j of an offset
        that is added to the w of every chosen layer.

    Raises:
        LowRankGANError: memory is too small for a single tangent, or a value is not finite.
    """
    moved = set(layers)

    def image(offset: Tensor) -> Tensor:
        offset = F.pad(offset, (0, generator.carried_dim))
        slots = [w + offset if layer in moved else w for layer, w in enumerate(ws[:, None])]
        return generator.forward_averaged(slots, resolution)[0]

    with torch.no_grad():
        origin = ws.new_zeros(generator.w_dim)
        derivative = _linearize(image, origin)
        columns = torch.empty(len(origin), 3, resolution, resolution, dtype=ws.dtype)
        found = progress(_columns(derivative, origin, chunk), "Jacobian columns", len(origin))
        for index, column in enumerate(found):
            columns[index] = column.cpu()
    if not torch.isfinite(columns).all():
        raise LowRankGANError("the Jacobian holds values that are not finite; check the weights")
    return columns


def _linearize(image: Callable[[Tensor], Tensor], w: Tensor) -> Callable[[Tensor], Tensor]:
    """The derivative at w as a function of one tangent, with the primal computed once.

    `torch.func.linearize` is silently wrong where a generator writes in place, so one random
    tangent is compared with `jvp`, which then serves in its stead.
    """

    def reference(tangent: Tensor) -> Tensor:
        return jvp(image, (w,), (tangent,))[1]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attempted to insert a get_attr Node")
        _, derivative = linearize(image, w)
    tangent = torch.randn(len(w), generator=torch.Generator().manual_seed(0)).to(w)
    expected = reference(tangent)
    error = (derivative(tangent) - expected).norm() / expected.norm()
    if error < 1e3 * torch.finfo(w.dtype).eps:
        return derivative
    log.warning("linearize differs from jvp by %.1e, using jvp for every column", error)
    return reference


def _columns(
    derivative: Callable[[Tensor], Tensor], w: Tensor, chunk: int | None
) -> Iterator[Tensor]:
    """Yield columns, propagated in chunks that shrink once memory has run out."""
    basis = torch.eye(len(w), dtype=w.dtype, device=w.device)
    chunk = chunk or _chunk_for_memory(derivative, basis[0])
    start = 0
    while start < len(w):
        try:
            block = vmap(derivative)(basis[start : start + chunk])
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            if chunk == 1:
                raise LowRankGANError(
                    "memory is too small for one tangent of the Jacobian; lower "
                    "jacobian.resolution or use a larger machine"
                ) from error
            chunk //= 2
            log.warning("out of memory, going on with %d tangents at a time", chunk)
            continue
        yield from block
        start += len(block)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "alloc" in str(error)


def _chunk_for_memory(derivative: Callable[[Tensor], Tensor], tangent: Tensor) -> int:
    """Number of tangents that half of the free memory holds, from the need of one."""
    if tangent.is_cuda:
        torch.cuda.reset_peak_memory_stats(tangent.device)
        before = torch.cuda.memory_allocated(tangent.device)
        derivative(tangent)
        need = torch.cuda.max_memory_allocated(tangent.device) - before
        free = torch.cuda.mem_get_info(tangent.device)[0]
    else:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        derivative(tangent)
        need = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        free = psutil.virtual_memory().available
    limit = _CHUNK_LIMIT.get(tangent.device.type, 1)
    return max(1, min(limit, int(_MEMORY_SHARE * free / max(need, 1))))
