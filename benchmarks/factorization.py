"""Principal component pursuit of real Gram matrices: the published solver against this one."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import seconds
from lowrankgan.factorization import LowRank, principal_component_pursuit, scaled_lambda
from lowrankgan.published import published_pursuit

Array = NDArray[np.float64]
Grams = Mapping[str, tuple[Array, Array]]

_OPTIMUM = 1e-8  # tolerance of the solution that both are compared with


def run(grams: Grams, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Both solvers on one region's Gram matrix, on one core as jobs of the workflow are."""
    with _processes(1) as pool:
        gram = grams[settings["factorization"]["region"]][0]
        return pool.submit(_compare, gram, settings).result()


def _compare(gram: Array, settings: Mapping[str, Any]) -> dict[str, Any]:
    s, repeats = settings["factorization"], settings["repeats"]
    lam, limit = scaled_lambda(len(gram)), s["max_iterations"]
    found: dict[str, LowRank] = {}

    def published() -> None:
        found["published"] = published_pursuit(gram, lam)

    def ours() -> None:
        found["this"] = principal_component_pursuit(gram, lam, s["tolerance"], limit)

    times = seconds({"published": published}, 1, warm_up=0)  # minutes, to its own end
    times |= seconds({"this": ours}, repeats)
    best = _low_rank(principal_component_pursuit(gram, lam, _OPTIMUM, 20 * limit))
    optimum = _objective(gram, best, lam)
    parts = {name: _low_rank(one) for name, one in found.items()}
    ended = {name: one.pursuit for name, one in found.items() if one.pursuit}
    return {
        "matrix": f"{s['region']}, inside, {len(gram)} x {len(gram)}",
        "lambda": lam,
        "seconds": times,
        "rank": {name: one.rank for name, one in found.items()},
        "pursuit": {name: asdict(pursuit) for name, pursuit in ended.items()},
        "excess": {k: _objective(gram, part, lam) / optimum - 1 for k, part in parts.items()},
        "error": {k: _distance(part, best) for k, part in parts.items()},
    }


def sweep(grams: Grams, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Pursuit of every region, inside and outside, at many lambdas, as jobs of one core each."""
    s = settings["factorization"]
    scale = scaled_lambda(len(next(iter(grams.values()))[0]))
    lambdas = scale * np.geomspace(0.5, 2, s["lambdas"])
    jobs = [
        (gram, float(lam), s["tolerance"], s["max_iterations"])
        for lam in lambdas
        for name in s["regions"]
        for gram in grams[name]
    ]
    with _processes(s["processes"]) as pool:
        start = time.perf_counter()
        found = list(pool.map(_pursue, *zip(*jobs, strict=True)))
        took = time.perf_counter() - start
    ranks, on_core = zip(*found, strict=True)
    return {
        "regions": len(s["regions"]),
        "lambdas": len(lambdas),
        "pursuits": len(jobs),
        "processes": s["processes"],
        "seconds": took,
        "core_seconds": sum(on_core),
        "ranks": [min(ranks), max(ranks)],
    }


@contextmanager
def _processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes whose linear algebra keeps to one core, started before anything is timed."""
    # Read when a process starts.
    limits = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update(dict.fromkeys(limits, "1"))
    try:
        with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
            list(pool.map(_ready, range(count)))
            yield pool
    finally:
        for name, value in limits.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _ready(_: int) -> None:
    """Have a process import what it needs, and wait so that each of them does."""
    principal_component_pursuit(np.eye(64), 0.1, 1e-3, 1000)
    time.sleep(1)


def _pursue(gram: Array, lam: float, tolerance: float, max_iterations: int) -> tuple[int, float]:
    """The rank, and the seconds on a core, which other load on the machine changes little."""
    start = time.process_time()
    rank = principal_component_pursuit(gram, lam, tolerance, max_iterations).rank
    return rank, time.process_time() - start


def _low_rank(found: LowRank) -> Array:
    return found.eigenvectors * found.eigenvalues @ found.eigenvectors.T


def _objective(matrix: Array, low_rank: Array, lam: float) -> float:
    """||L||_* + lam ||M - L||_1: S is taken as the whole rest, so that both are feasible."""
    return float(np.linalg.norm(low_rank, "nuc") + lam * np.abs(matrix - low_rank).sum())


def _distance(found: Array, expected: Array) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
