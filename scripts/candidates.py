"""Directions that know no region, from which each region takes the most local ones."""

from safetensors.numpy import save_file
from safetensors.torch import load_file

from faces import generator_of, layers_of
from job import Job, run
from lowrankgan.arrays import Array
from lowrankgan.generators.base import Generator
from lowrankgan.global_directions import ganspace, local_basis, random_directions, sefa


def main(job: Job) -> None:
    generator = generator_of(job)
    found = {"directions": _candidates(job, generator)}
    save_file(found, job.output / "candidates.safetensors")


def _candidates(job: Job, generator: Generator) -> Array:
    s = job.settings
    count = min(s["candidates"], generator.w_dim)
    if s["solver"] == "sefa":
        return sefa(generator, layers_of(job, generator), count)
    if s["solver"] == "ganspace":
        return ganspace(generator, s["label"], s["samples"], s["seed"], count)
    if s["solver"] == "local_basis":
        z = load_file(job.input("sample") / "latents.safetensors")["z"].to(generator.device)
        return local_basis(generator, z, s["label"], count)
    return random_directions(generator.w_dim, s["seed"], count)


if __name__ == "__main__":
    run(main)
