"""Gram matrices of J along the directions of a subspace only, averaged over further faces."""

import torch
from safetensors.torch import load_file

from faces import analysed, generator_of, groups_of
from grams import averaged, save_grams
from job import Job, run
from lowrankgan.gram import gram_matrices
from lowrankgan.jacobian import RestrictedJacobian, moved_image
from lowrankgan.linearization import Linearization, fast_tangents
from lowrankgan.shrinkage import Grams


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    (ws, masks), groups = analysed(job, generator), groups_of(s, generator)
    directions = load_file(job.input("subspace") / "directions.safetensors")
    rows = [directions[name] for name in masks]
    tangents = fast_tangents(ws) if s["tangents"] == "fast" else ws.dtype
    image = moved_image(generator, groups, s["resolution"], s["pixels"])
    linearization = Linearization(image, rows[0].shape[1:])
    found: dict[str, list[Grams]] = {name: [] for name in masks}
    for face, w in enumerate(ws):
        # All regions' in one sweep.
        columns = RestrictedJacobian(linearization, w, torch.cat(rows), tangents, s["chunk"])
        of_regions = columns[:].split([len(own) for own in rows])
        for (name, mask), own in zip(masks.items(), of_regions, strict=True):
            found[name] += gram_matrices(own, {name: mask[face]}).values()
    save_grams(job, {name: averaged(of_faces) for name, of_faces in found.items()}, groups, {})


if __name__ == "__main__":
    run(main)
