"""Check theory on a small generator in float64: exact ranks, and the reach of first order."""

from typing import Any

import pandas as pd
import torch

from edited import directions_of
from faces import generator_of, latents_of, layers_of, masks_of, points_of
from job import Job, run
from lowrankgan.jacobian import jacobian
from lowrankgan.linearity import exact_rank, prediction_errors


def main(job: Job) -> None:
    generator = generator_of(job).double()
    layers, side = layers_of(job, generator), generator.resolution
    latents, seeds = latents_of(job, generator)
    labelled = zip(job.settings["labels"], job.inputs["subspace"], strict=True)
    methods = {label: directions_of(folder, generator) for label, folder in labelled}
    ranks: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for ws, seed in zip(latents.double(), seeds, strict=True):
        with torch.no_grad():
            points = points_of(job, generator.synthesis(ws[None]))
        masks = masks_of(job, side, points, [seed])
        columns = jacobian(generator, ws, layers, side)
        for region, (mask,) in masks.items():
            inside = torch.from_numpy(mask)
            for name, chosen in (("inside", inside), ("outside", ~inside)):
                rows = columns[:, :, chosen].flatten(1).T.numpy()
                common = {"seed": seed, "region": region, "side": name, "rows": len(rows)}
                ranks.append(common | exact_rank(rows))
            for label, directions in methods.items():
                if region not in directions:  # of a file
                    continue
                steps = job.settings["steps"]
                found = prediction_errors(generator, ws, directions[region][0], steps)
                common = {"seed": seed, "region": region, "method": label}
                errors += [
                    common | {"step": step, "error": error}
                    for step, error in zip(steps, found, strict=True)
                ]
    pd.DataFrame(ranks).to_csv(job.output / "ranks.csv", index=False)
    pd.DataFrame(errors).to_csv(job.output / "errors.csv", index=False)


if __name__ == "__main__":
    run(main)
