"""Gram matrices of every region, averaged over many faces, as if styles acted one by one."""

from faces import analysed, generator_of, groups_of
from grams import save_grams
from job import Job, run
from lowrankgan.style_gram import style_gram_matrices


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    (ws, masks), groups = analysed(job, generator), groups_of(s, generator)
    grams = style_gram_matrices(generator, ws, groups, masks, s["probes"], s["seed"])
    save_grams(job, grams, groups, {})


if __name__ == "__main__":
    run(main)
