"""Gram matrices of every region at one face, as if styles acted one by one."""

from faces import analysed, generator_of, groups_of
from grams import save_grams
from job import Job, run
from lowrankgan.style_gram import style_gram_matrices


def main(job: Job) -> None:
    s, generator = job.settings, generator_of(job)
    (ws, _, found), groups = analysed(job, generator), groups_of(s, generator)
    masks = {name: mask[0] for name, mask in found.items()}
    grams = style_gram_matrices(generator, ws[0], groups, masks, s["probes"], s["seed"])
    save_grams(job, grams, groups, {})


if __name__ == "__main__":
    run(main)
