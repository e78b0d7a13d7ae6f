"""The whole Jacobian of one image: the published reverse-mode loop, vmap(jvp), this engine.

This engine is measured as jobs run it, with `fast_tangents`, and in the dtype of the generator.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import getitem
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import jvp, vmap

from benchmarks.measure import peak_memory, seconds
from benchmarks.problems import boxes
from lowrankgan.generators.base import Generator
from lowrankgan.gram import gram_matrices
from lowrankgan.jacobian import Jacobian
from lowrankgan.krylov import Leading, leading_directions, region_operator
from lowrankgan.linearization import fast_tangents

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Grams = dict[str, tuple[Array, Array]]
Image = Callable[[Tensor], Tensor]

_COMPARED = 4  # columns that are computed in float64 too


class PublishedLoop:
    """Rows of the Jacobian of the grey image, as the authors' code takes all of them.

    One reverse pass for every pixel, through a graph that is made once and kept.
    """

    def __init__(self, image: Image, w: Tensor) -> None:
        self._w = w.detach().clone().requires_grad_()
        self._pixels = image(self._w).mean(0).flatten()

    def rows(self, chosen: Sequence[int]) -> Tensor:
        """Some of the rows [n, d]."""
        found = [
            torch.autograd.grad(self._pixels[row], self._w, retain_graph=True)[0] for row in chosen
        ]
        return torch.stack(found)


def run(generator: Generator, ws: Tensor, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Compare on one W+ latent [L, D]; times are for the whole J, shares of it extrapolated."""
    s, side = settings["jacobian"], settings["analysis_resolution"]
    d, count = generator.w_dim, min(s["columns"], generator.w_dim)
    together = 2 if ws.device.type == "cpu" else min(count, 16)  # of 64, a GPU may not hold them
    origin, basis = ws.new_zeros(d), torch.eye(d, dtype=ws.dtype, device=ws.device)

    def image(offset: Tensor) -> Tensor:
        slots = [w + torch.nn.functional.pad(offset, (0, ws.shape[1] - d)) for w in ws[:, None]]
        return generator.forward_averaged(slots, side)[0]

    def naive() -> Tensor:
        return vmap(lambda t: jvp(image, (origin,), (t,))[1])(basis[:together])

    def forwards(batch: int) -> Callable[[], None]:
        repeated = ws.expand(batch, -1, -1)

        @torch.inference_mode()
        def render() -> None:
            for _ in range(count // batch):
                generator.render(repeated, side)

        return render

    def linearised(tangents: torch.dtype) -> Jacobian:
        return Jacobian(generator, ws, range(generator.num_layers), side, tangents=tangents)

    rows = np.linspace(0, side * side - 1, s["rows"], dtype=int).tolist()
    engines = {"engine": fast_tangents(ws)}
    if engines["engine"] != ws.dtype:
        engines["exact engine"] = ws.dtype
    columns = {name: linearised(tangents) for name, tangents in engines.items()}
    published = PublishedLoop(image, origin)
    sides: dict[str, Callable[[], object]] = {
        "published": lambda: published.rows(rows),
        "vmap(jvp)": naive,
        **{f"linearised {name}": partial(linearised, dtype) for name, dtype in engines.items()},
        **{name: partial(getitem, found, slice(count)) for name, found in columns.items()},
        **{f"forward x {batch}": forwards(batch) for batch in s["batches"] if batch <= count},
    }
    times = seconds(sides, settings["repeats"])
    exact = _exact(generator, ws, side, min(count, _COMPARED))
    whole = {"published": side * side / len(rows), "vmap(jvp)": d / together}
    whole |= {f"linearised {name}": 1.0 for name in engines}
    whole |= {
        f"forward x {batch}": d / (count // batch * batch)
        for batch in s["batches"]
        if batch <= count
    }
    scaled = {name: np.array(found) * whole.get(name, d / count) for name, found in times.items()}
    for name in engines:
        scaled[name] = scaled[name] + scaled.pop(f"linearised {name}")
    batches = [name for name in scaled if name.startswith("forward")]
    floor = min(batches, key=lambda name: float(np.median(scaled[name])))
    scaled["floor"] = scaled[floor]
    return {
        "generator": f"{type(generator).__name__}, {generator.resolution} px, d = {d}",
        "d": d,
        "resolution": side,
        "seconds": {name: found.tolist() for name, found in scaled.items()},
        "extrapolated": {
            "published": len(rows),
            "vmap(jvp)": together,
            "engine": count,
            "floor": count,
        },
        "dtype": str(ws.dtype).removeprefix("torch."),
        "tangents": str(engines["engine"]).removeprefix("torch."),
        "floor": floor,
        "error": {
            "published": _error(published.rows(rows).T, exact.mean(1).flatten(1)[:, rows]),
            "vmap(jvp)": _error(naive()[: len(exact)], exact[:together]),
        }
        | {name: _error(found[:count], exact) for name, found in columns.items()},
    }


def sweep(
    generator: Generator, ws: Tensor, masks: Mapping[str, Mask], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], Grams]:
    """All columns of J at once, nothing extrapolated, and the Gram matrices of many regions.

    To be called before what else takes memory: the peak is that of the process.

    Returns:
        What was measured, and the Gram matrices of the given regions.
    """
    side, held = settings["analysis_resolution"], list[Tensor]()
    many = boxes(side, settings["grams"]["regions"])

    def whole() -> None:
        held.clear()
        held.append(Jacobian(generator, ws, range(generator.num_layers), side)[:])

    # A GPU starts cold; on a CPU that does not show in minutes.
    times = seconds({"jacobian": whole}, 1, warm_up=int(torch.cuda.is_available()))
    repeats = min(2, settings["repeats"])
    times |= seconds({"grams": lambda: gram_matrices(held[0], many)}, repeats, warm_up=0)
    measured = {"regions": len(many), "seconds": times, "peak_gb": peak_memory()}
    return measured, gram_matrices(held[0], {**many, **masks})


def krylov(
    generator: Generator, ws: Tensor, mask: Mask, inside: Array, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Leading directions of one region without J, against those of its whole Gram matrix."""
    side, s = settings["analysis_resolution"], settings["krylov"]
    layers, found = range(generator.num_layers), list[Leading]()

    def free() -> None:
        operator = region_operator(generator, ws, layers, side, mask)
        found.append(leading_directions(operator, generator.w_dim, s["count"], s["tolerance"]))

    times = seconds({"matrix-free": free}, min(2, settings["repeats"]), warm_up=0)
    values, vectors = np.linalg.eigh(inside)
    expected = values[::-1][: s["count"]]
    cosines = (found[0].vectors * vectors[:, ::-1][:, : s["count"]].T).sum(1)
    return {
        "region": s["region"],
        "count": s["count"],
        "products": found[0].products,
        "seconds": times,
        "relative_residual": float(found[0].residuals.max()),
        "error": float(np.abs(found[0].values / expected - 1).max()),
        "least_cosine": float(np.abs(cosines).min()),
    }


def _exact(generator: Generator, ws: Tensor, side: int, count: int) -> Tensor:
    """The first columns in float64."""
    double = copy.deepcopy(generator).double()
    return Jacobian(double, ws.double(), range(generator.num_layers), side)[:count]


def _error(found: Tensor, exact: Tensor) -> float:
    """Relative error of the columns that are there, against the same in float64."""
    found = found[: len(exact)].double()
    expected = exact[: len(found)]
    return float((found - expected).norm() / expected.norm())
