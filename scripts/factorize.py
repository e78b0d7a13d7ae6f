"""Rank of every region's Gram matrices, inside and outside, by one rule."""

from typing import Any

import pandas as pd
from grams import Gram, grams_of
from job import Job, run
from safetensors.numpy import save_file

from lowrankgan.errors import LowRankGANError
from lowrankgan.factorization import (
    LowRank,
    by_energy,
    by_rank,
    principal_component_pursuit,
    scaled_lambda,
)


def main(job: Job) -> None:
    arrays, rows = {}, []
    for region, grams in grams_of(job).items():
        for side, gram in zip(("inside", "outside"), grams, strict=True):
            try:
                found, value = _factorize(gram, job.settings)
            except LowRankGANError as error:
                raise LowRankGANError(f"region {region!r}, {side}: {error}") from error
            arrays[f"eigenvectors/{side}/{region}"] = found.eigenvectors
            arrays[f"spectrum/{side}/{region}"] = found.spectrum
            row = {"region": region, "side": side, "rule": job.settings["rule"], "value": value}
            rows.append(row | _diagnostics(found))
    save_file(arrays, job.output / "factors.safetensors")
    pd.DataFrame(rows).to_csv(job.output / "ranks.csv", index=False)
