"""Measures everything that `settings.yaml` asks for: `make bench`, `make bench-gpu`.

Results are written at the end, whole or not at all.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks import factorization, jacobian, planning, report, scaling
from benchmarks.measure import device_of, machine
from benchmarks.problems import boxes, fetched, random_stylegan2
from lowrankgan.allocator import keep_freed_memory
from lowrankgan.errors import LowRankGANError
from lowrankgan.files import replacing
from lowrankgan.generators.base import Generator
from lowrankgan.regions import build_region
from lowrankgan.sampling import sample_latents
from workflow.configuration import load_configuration

FOLDER = Path(__file__).resolve().parent
_PSI = 0.7


def main(kind: str) -> int:
    """Run the benchmarks of a CPU or of a GPU; without a GPU the latter are left out."""
    if kind == "gpu" and not torch.cuda.is_available():
        print("bench-gpu: there is no CUDA device here, so nothing was measured")
        return 0
    settings = yaml.safe_load((FOLDER / "settings.yaml").read_text())[kind]
    try:
        results = measure(settings)
    except LowRankGANError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    write(results, FOLDER / ("results" if kind == "cpu" else "results_gpu"))
    return 0


def measure(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the sections that the settings name.

    Raises:
        LowRankGANError: weights cannot be had, or a section's settings do not fit them.
    """
    device = device_of() if "random" in settings else torch.device("cpu")
    results: dict[str, Any] = {"machine": machine(device), "settings": settings}
    with tempfile.TemporaryDirectory() as folder:
        if "random" in settings:
            torch.backends.cudnn.allow_tf32 = False  # as `load_generator` has it
            generator: Generator = random_stylegan2(**settings["random"]).to(device)
        else:
            keep_freed_memory()
            configuration = load_configuration(settings["overrides"])
            generator = fetched(configuration, Path(folder))
        _measure(generator, Path(folder), settings, results)
    results["machine"]["load"].append(os.getloadavg()[0])
    return results


def _measure(
    generator: Generator, files: Path, settings: Mapping[str, Any], results: dict[str, Any]
) -> None:
    side = settings["analysis_resolution"]
    ws = sample_latents(generator, [settings["seed"]], _PSI)[1][0]
    masks = boxes(side, 2)
    if "factorization" in settings:
        names = settings["factorization"]["regions"]
        regions = load_configuration([f"region=[{','.join(names)}]"]).region
        masks |= {
            name: build_region(region.model_dump(mode="json")).mask(side)
            for name, region in regions.items()
        }
    _say("all columns of J, and the Gram matrices of many regions")
    results["grams"], grams = jacobian.sweep(generator, ws, masks, settings)
    _say("the published loop, vmap(jvp), this engine, forward passes, in turn")
    results["jacobian"] = jacobian.run(generator, ws, settings)
    if "krylov" in settings:
        _say("leading directions without J")
        region = settings["krylov"]["region"]
        inside = grams[region][0]
        results["krylov"] = jacobian.krylov(generator, ws, masks[region], inside, settings)
    if "factorization" in settings:
        _say("the published pursuit and this one")
        results["factorization"] = factorization.run(grams, settings)
        _say("a sweep of lambdas over regions")
        results["sweep"] = factorization.sweep(grams, settings)
    if "forward" in settings:
        # OpenVINO is a requirement of `make bench` alone.
        from benchmarks import forward

        _say("OpenVINO's forward and this one")
        results["forward"] = forward.run(generator, ws[:1], files, settings)
    if "scaling" in settings:
        _say("time and memory against size")
        results["scaling"] = scaling.run(settings)
    if "planning" in settings:
        _say("a plan of many jobs")
        results["planning"] = planning.run(settings)


def write(results: Mapping[str, Any], stem: Path) -> None:
    """Write stem.json, and from it stem.md and stem.png."""
    with replacing(stem.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n")
    report.write(stem)


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
