"""Rank of every region's Gram matrices, inside and outside, by one rule."""

import pandas as pd
from safetensors.numpy import save_file

from grams import Gram, grams_of
from job import Job, run
from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import (
    LowRank,
    by_energy,
    by_rank,
    principal_component_pursuit,
    scaled_lambda,
)

_DIAGNOSTICS = ("rank", "iterations", "primal_residual", "dual_residual", "density")


def main(job: Job) -> None:
    rule, value = job.settings["rule"], job.settings["value"]
    arrays, rows = {}, []
    for region, grams in grams_of(job).items():
        if value == "scaled":
            value = scaled_lambda(len(grams[0]))
        for side, gram in zip(("inside", "outside"), grams, strict=True):
            try:
                found = _factorize(job, gram, value)
            except LowRankGANError as error:
                raise LowRankGANError(f"region {region!r}, {side}: {error}") from error
            arrays[f"eigenvectors/{side}/{region}"] = found.eigenvectors
            arrays[f"spectrum/{side}/{region}"] = found.spectrum
            row = {"region": region, "side": side, "rule": rule, "value": value}
            rows.append(row | {key: getattr(found, key) for key in _DIAGNOSTICS})
    save_file(arrays, job.output / "factors.safetensors")
    pd.DataFrame(rows).to_csv(job.output / "ranks.csv", index=False)


def _factorize(job: Job, gram: Gram, value: float) -> LowRank:
    s = job.settings
    if s["rule"] == "pursuit":
        return principal_component_pursuit(gram, value, s["tolerance"], s["max_iterations"])
    return by_energy(gram, value) if s["rule"] == "energy" else by_rank(gram, int(value))


if __name__ == "__main__":
    run(main)
