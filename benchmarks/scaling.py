"""Time and memory of the costly stages against the sizes of a problem, each in its own process."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.measure import peak_memory, seconds
from benchmarks.problems import boxes, random_stylegan2
from lowrankgan.allocator import keep_freed_memory
from lowrankgan.editing import ChangeMatcher, move, offsets
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.base import Generator
from lowrankgan.gram import gram_matrices
from lowrankgan.images import to_unit
from lowrankgan.jacobian import Jacobian
from lowrankgan.metrics.masked import masked_mse
from lowrankgan.progress import progress

SIZES = ("d", "resolution", "regions", "images", "faces")
_LEAST_GB = 1e-3  # below that, a process that grows has taken what it had freed
_TARGET, _TOLERANCE, _MAX_STEP = 0.01, 0.02, 60.0


def run(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Vary the sizes that have values, one at a time; exponents are slopes of the logarithms.

    Memory is what a process took beyond its imports and weights, at its peak.
    """
    s = settings["scaling"]
    sizes = [size for size in SIZES if size in s]
    points = [
        (size, value, s["base"] | {size: value, "stage": _stage(size)})
        for size in sizes
        for value in s[size]
    ]
    found: dict[str, Any] = {size: {"value": [], "seconds": [], "gb": []} for size in sizes}
    for size, value, problem in progress(points, "problem sizes"):
        command = [sys.executable, "-m", "benchmarks.scaling", json.dumps(problem)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise LowRankGANError(f"{size} = {value}: {done.stderr.strip().splitlines()[-1]}")
        measured = json.loads(done.stdout)
        found[size]["value"].append(value)
        for key in ("seconds", "gb"):
            found[size][key].append(measured[key])
    for of_size in found.values():
        values = of_size["value"]
        of_size["exponent"] = {key: _exponent(values, of_size[key]) for key in ("seconds", "gb")}
    return {"base": s["base"], "sizes": found}


def _stage(size: str) -> str:
    return "edit" if size == "faces" else "jacobian"


def _exponent(values: list[int], measured: list[float]) -> float:
    return float(np.polyfit(np.log(values), np.log(measured), 1)[0])


def _measure(problem: Mapping[str, Any]) -> dict[str, Any]:
    """One problem in this process."""
    keep_freed_memory()
    sizes = {key: problem[key] for key in ("resolution", "d", "channels")}
    generator = random_stylegan2(**sizes)
    before = peak_memory()
    work = {"jacobian": _jacobians, "edit": _edits}[problem["stage"]]
    # The first call of a process is most of what a small problem costs, and does not count.
    (took,) = seconds({"work": lambda: work(generator, problem)}, 1)["work"]
    return {"seconds": took, "gb": max(peak_memory() - before, _LEAST_GB)}


def _jacobians(generator: Generator, problem: Mapping[str, Any]) -> None:
    """Gram matrices of every region at every analysis image."""
    side = problem["resolution"]
    for seed in range(problem["images"]):
        ws = _latents(generator, seed)
        gram_matrices(
            Jacobian(generator, ws, range(generator.num_layers), side),
            boxes(side, problem["regions"]),
        )


@torch.inference_mode()
def _edits(generator: Generator, problem: Mapping[str, Any]) -> None:
    """The step of matched change along one direction on every face."""
    side, layers = problem["resolution"], generator.num_layers
    mask = torch.from_numpy(boxes(side, 2)["region 1"])
    direction = torch.nn.functional.normalize(torch.ones(1, generator.w_dim))
    offset = offsets(direction, layers, [range(layers)])
    for seed in range(problem["faces"]):
        ws = _latents(generator, seed)[None]
        matcher = ChangeMatcher({"mse": ("mse", _TARGET)}, _TOLERANCE, _MAX_STEP)
        original = to_unit(generator.render(ws, side))
        while (step := matcher.propose()) is not None:
            moved = move(ws, offset, torch.tensor([step]))
            edited = to_unit(generator.render(moved, side))
            matcher.observe(step, {"mse": float(masked_mse(original, edited, mask)[0])})


def _latents(generator: Generator, seed: int) -> torch.Tensor:
    z = torch.randn(1, generator.z_dim, generator=torch.Generator().manual_seed(seed))
    return generator.broadcast(generator.mapping(z))[0]


if __name__ == "__main__":
    print(json.dumps(_measure(json.loads(sys.argv[1]))))
