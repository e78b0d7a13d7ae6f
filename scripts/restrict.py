"""Gram matrices of J along the directions of a subspace only, averaged over further faces."""

import torch
from safetensors.torch import load_file

from faces import analysed, generator_of, groups_of
from grams import averaged, save_grams
from job import Job, run
from lowrankgan.gram import gram_matrices
from lowrankgan.jacobian import RestrictedJacobian
from lowrankgan.linearization import fast_tangents


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    (ws, _, masks), groups = analysed(job, generator), groups_of(s, generator)
    directions = load_file(job.input("subspace") / "directions.safetensors")
    rows = torch.cat([directions[name] for name in masks])  # of all regions in one sweep
    tangents = fast_tangents(ws) if s["tangents"] == "fast" else ws.dtype
    found = []
    for face, w in enumerate(ws):
        columns = RestrictedJacobian(
            generator, w, groups, rows, s["resolution"], s["pixels"], tangents, s["chunk"]
        )
        found.append(gram_matrices(columns[:], {name: of[face] for name, of in masks.items()}))
    grams, start = {}, 0
    for name in masks:
        own = slice(start, start := start + len(directions[name]))
        pairs = (face[name] for face in found)
        grams[name] = averaged([(inside[own, own], outside[own, own]) for inside, outside in pairs])
    save_grams(job, grams, groups, {})


if __name__ == "__main__":
    run(main)
