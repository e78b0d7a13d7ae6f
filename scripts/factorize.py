"""Rank of every region's Gram matrices, inside and outside, by one rule."""

from dataclasses import asdict

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from grams import averaged, grams_of
from job import Job, run
from lowrankgan.arrays import Array
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import (
    LowRank,
    by_energy,
    by_rank,
    principal_component_pursuit,
    scaled_lambda,
)
from lowrankgan.published import published_pursuit


def main(job: Job) -> None:
    rule, value = job.settings["rule"], job.settings["value"]
    arrays, rows = {}, []
    for region in job.settings["regions"]:
        grams = averaged(grams_of(job, region))
        if value == "scaled":
            value = scaled_lambda(len(grams[0]))
        for side, gram in zip(("inside", "outside"), grams, strict=True):
            try:
                found = _factorize(job, gram, value)
            except LowRankGANError as error:
                raise LowRankGANError(f"region {region!r}, {side}: {error}") from error
            for key in ("spectrum", "eigenvalues", "eigenvectors"):
                arrays[f"{key}/{side}/{region}"] = np.ascontiguousarray(getattr(found, key))
            row = {"region": region, "side": side, "rule": rule, "value": value}
            row["rank"] = found.rank
            rows.append(row | (asdict(found.pursuit) if found.pursuit else {}))
    save_file(arrays, job.output / "factors.safetensors")
    pd.DataFrame(rows).to_csv(job.output / "ranks.csv", index=False)


def _factorize(job: Job, gram: Array, value: float) -> LowRank:
    s = job.settings
    if s["rule"] == "pursuit":
        return principal_component_pursuit(gram, value, s["tolerance"], s["max_iterations"])
    if s["rule"] == "published":
        return published_pursuit(gram, value)
    return by_energy(gram, value) if s["rule"] == "energy" else by_rank(gram, int(value))


if __name__ == "__main__":
    run(main)
