"""The derivative of a generator at one latent as a function of a tangent: the primal is done once.

`torch.func.linearize` does the same in the dtype of the primal. Here what is traced is at hand, so
that it loses what only copies, and its constants may be rounded while the primal is not: the signs
of activations and what styles are multiplied with are those of the exact image, and each tangent
loses a few digits by itself. Measured on MobileStyleGAN, columns of a Jacobian are 1 % off in
bfloat16, and 10 % where the whole generator is in it.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vmap
from torch.fx import GraphModule
from torch.fx.experimental.const_fold import split_const_subgraphs
from torch.fx.experimental.proxy_tensor import make_fx

log = logging.getLogger(__name__)

_EXACT = 1e3  # relative error, in units of the dtype's rounding, up to which a trace is right
_ROUNDED = 0.05  # relative error up to which tangents in another dtype serve


@dataclass(frozen=True)
class Derivative:
    """The derivative of an image at one latent w.

    Attributes:
        function: of one tangent, shaped and typed as w.
        dtype: in which tangents are propagated; that of what the function returns.
    """

    function: Callable[[Tensor], Tensor]
    dtype: torch.dtype

    def __call__(self, tangents: Tensor) -> Tensor:
        """Propagate n tangents [n, *w.shape] together."""
        # One by vmap costs six times as much: a batch of one loses the channels-last layout.
        if len(tangents) == 1:
            return self.function(tangents[0])[None]
        return vmap(self.function)(tangents)


def fast_tangents(w: Tensor) -> torch.dtype:
    """bfloat16 for a float32 latent on a processor that multiplies it (AMX, AVX-512 BF16), else its
    own dtype."""
    can = torch.cpu.get_capabilities()
    multiplies = w.device.type == "cpu" and (can.get("amx_bf16") or can.get("avx512_bf16"))
    return torch.bfloat16 if multiplies and w.dtype == torch.float32 else w.dtype


def linearization(
    image: Callable[[Tensor], Tensor], w: Tensor, tangents: torch.dtype | None = None
) -> Derivative:
    """Linearise an image at w.

    A trace is silently wrong where a generator writes in place, and rounding may lose all of a
    tangent, so one random tangent is compared with `jvp`; what is off does not serve.

    Args:
        image: of a latent, written functionally.
        w: the latent, of any shape.
        tangents: dtype to propagate them in, where that serves; None is that of w.
    """

    def reference(tangent: Tensor) -> Tensor:
        return jvp(image, (w,), (tangent,))[1]

    probe = torch.randn(w.shape, generator=torch.Generator().manual_seed(0)).to(w)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Attempted to insert a get_attr Node")
        folded = split_const_subgraphs(make_fx(reference)(probe))
    _drop_copies(folded, w.dtype)
    expected = reference(probe)
    error = _difference(folded(probe), expected)
    if not error < _EXACT * torch.finfo(w.dtype).eps:
        log.warning("the trace differs from jvp by %.1e, using jvp for every column", error)
        return Derivative(reference, w.dtype)
    if tangents is None or tangents == w.dtype:
        return Derivative(folded, w.dtype)
    rounded = _in_dtype(folded, w.dtype, tangents)
    error = _difference(rounded(probe), expected)
    if error < _ROUNDED:
        return Derivative(rounded, tangents)
    log.warning("tangents in %s are %.1e off, taking %s", tangents, error, w.dtype)
    return Derivative(folded, w.dtype)


def _difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def _drop_copies(module: GraphModule, dtype: torch.dtype) -> None:
    """Remove copies into the dtype that everything has, which forward mode leaves by broadcasts."""
    for node in module.graph.nodes:
        if node.target is torch.ops.aten._to_copy.default and node.kwargs.get("dtype") == dtype:
            node.replace_all_uses_with(node.args[0])
            module.graph.erase_node(node)
    module.recompile()


def _in_dtype(
    module: GraphModule, before: torch.dtype, after: torch.dtype
) -> Callable[[Tensor], Tensor]:
    """A trace with its constants, and what it makes of tangents, in another dtype."""

    def cast(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.detach().to(after) if value.dtype == before else value
        return [cast(part) for part in value]

    constants = {
        str(node.target): cast(getattr(module, str(node.target)))
        for node in module.graph.nodes
        if node.op == "get_attr"
    }
    rounded = GraphModule(constants, module.graph)
    return lambda tangent: rounded(tangent.to(after))
