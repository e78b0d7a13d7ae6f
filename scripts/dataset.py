"""Bring a labelled data set into two files of one layout: for training, and held out."""

import tempfile
from pathlib import Path

from job import Job, run
from lowrankgan.errors import LowRankGANError
from lowrankgan.training.data import LabelledImages, read_folder, read_idx, save
from lowrankgan.training.sources import fetch_files


def main(job: Job) -> None:
    for name, images in zip(("training", "held_out"), _read(job), strict=True):
        if images.classes != job.settings["classes"]:
            raise LowRankGANError(
                f"classes: {job.settings['classes']} names, the data has {images.classes} classes; "
                "name one for each, in the order of labels"
            )
        save(images, job.output / f"{name}.safetensors")


def _read(job: Job) -> tuple[LabelledImages, LabelledImages]:
    s = job.settings
    if s["kind"] == "folder":
        return read_folder(Path(s["path"]), s["resolution"], s["held_out_every"])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fetch_files(s["sha256"], s["package"], s["folder"], s["url"], folder)
        training, held_out = (
            read_idx(folder / images, folder / labels, s["resolution"])
            for images, labels in (s["training"], s["held_out"])
        )
    return training, held_out


if __name__ == "__main__":
    run(main)
