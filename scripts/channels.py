"""Single channels of style space whose effect falls into each region."""

from faces import analysed, generator_of, layers_of
from grams import save_directions
from job import Job, run
from lowrankgan.style_channels import local_channels


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    (ws, masks), layers = analysed(job, generator), layers_of(job, generator)
    found = local_channels(
        generator, ws, layers, masks, s["probes"], s["seed"], s["least"], s["directions"]
    )
    save_directions(job, found)


if __name__ == "__main__":
    run(main)
