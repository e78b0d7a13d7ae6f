"""The derivative of an image at latent after latent, as a function of a tangent.

`torch.func.linearize` does the same at one latent, in the dtype of the primal. Here the trace is
at hand, so that it serves other latents too and loses what only copies, and the values that a
tangent meets may be rounded while the primal is not: the signs of activations and what styles are
multiplied with are those of the exact image, and each tangent loses a few digits by itself.
Measured on MobileStyleGAN, columns of a Jacobian are 1 % off in bfloat16, and 10 % where the whole
generator is in it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.func import jvp, vmap
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

log = logging.getLogger(__name__)

_EXACT = 1e3  # relative error, in units of the dtype's rounding, up to which a trace is right
_ROUNDED = 0.05  # relative error up to which tangents in another dtype serve
_COPY = torch.ops.aten._to_copy.default


@dataclass(frozen=True)
class Derivative:
    """The derivative of an image by an offset, at one latent.

    Attributes:
        function: of one tangent, shaped and typed as the offset.
        dtype: in which tangents are propagated; that of what the function returns.
        shape: of what the function returns.
    """

    function: Callable[[Tensor], Tensor]
    dtype: torch.dtype
    shape: tuple[int, ...]

    def __call__(self, tangents: Tensor) -> Tensor:
        """Propagate n tangents [n, *offset] together."""
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


class Linearization:
    """Derivatives of an image by an offset at 0, traced at the first latent and once for all.

    Args:
        image: of a latent and an offset, written functionally.
        shape: of the offset.
    """

    def __init__(self, image: Callable[[Tensor, Tensor], Tensor], shape: Sequence[int]) -> None:
        def by_jvp(latent: Tensor, tangent: Tensor) -> Tensor:
            origin = latent.new_zeros(tangent.shape)  # of the tangent's it would depend on that
            derivative: Tensor = jvp(partial(image, latent), (origin,), (tangent,))[1]
            return derivative

        self._by_jvp, self._shape = by_jvp, tuple(shape)
        self._parts: tuple[GraphModule, GraphModule] | None = None

    def at(self, latent: Tensor, tangents: torch.dtype | None = None) -> Derivative:
        """Linearise the image at a latent.

        A trace is silently wrong where a generator writes in place, and rounding may lose all of a
        tangent, so one random tangent is compared with `jvp` each time; what is off does not serve.

        Args:
            latent: shaped and typed as the first.
            tangents: dtype to propagate them in, where that serves; None is that of the latent.
        """
        seeded = torch.Generator().manual_seed(0)
        probe, exact = torch.randn(self._shape, generator=seeded).to(latent), latent.dtype
        if self._parts is None:
            self._parts = _parts(make_fx(self._by_jvp)(latent, probe), exact)
        primal, along = self._parts
        values, expected = primal(latent), self._by_jvp(latent, probe)
        derivative = partial(Derivative, shape=tuple(expected.shape))
        error = _difference(along(probe, *values), expected)
        if not error < _EXACT * torch.finfo(exact).eps:
            log.warning("the trace differs from jvp by %.1e, using jvp for every column", error)
            return derivative(partial(self._by_jvp, latent), exact)
        if tangents is not None and tangents != exact:
            rounded = [value.to(tangents) if value.dtype == exact else value for value in values]
            error = _difference(along(probe.to(tangents), *rounded), expected)
            if error < _ROUNDED:
                return derivative(lambda tangent: along(tangent.to(tangents), *rounded), tangents)
            log.warning("tangents in %s are %.1e off, taking %s", tangents, error, exact)
        return derivative(lambda tangent: along(tangent, *values), exact)


def _difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def _parts(traced: GraphModule, dtype: torch.dtype) -> tuple[GraphModule, GraphModule]:
    """Of a trace: the values that the latent determines, and what a tangent and these give.

    Copies of tangents into the dtype that they have, which broadcasts leave, are left out.
    """
    traced.graph.eliminate_dead_code()  # forward mode asks much of tangents that nothing uses
    nodes = list(traced.graph.nodes)
    tangent = [node for node in nodes if node.op == "placeholder"][1]
    moved = {tangent}
    for node in nodes:
        if node.op == "output" or moved.intersection(node.all_input_nodes):
            moved.add(node)
    kept = [node for node in nodes if node not in moved and moved.intersection(node.users)]
    primal, along = Graph(), Graph()
    fixed: dict[Node, Node] = {}
    for node in nodes:
        if node not in moved:
            fixed[node] = primal.node_copy(node, fixed.__getitem__)
    primal.output(tuple(fixed[node] for node in kept))
    primal.eliminate_dead_code()
    own = {node: along.placeholder(node.name) for node in [tangent, *kept]}
    for node in nodes:
        if node in moved and node is not tangent:
            alike = node.target is _COPY and node.kwargs.get("dtype") == dtype
            own[node] = own[node.args[0]] if alike else along.node_copy(node, own.__getitem__)
    return GraphModule(traced, primal), GraphModule(traced, along)
