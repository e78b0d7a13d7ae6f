"""Read published weights, whatever their format, into the project's own safetensors layout."""

from pathlib import Path

from job import Job, run
from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.checkpoint import Checkpoint, save_checkpoint
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.weights import verify


def main(job: Job) -> None:
    path = _published(job)
    checkpoint = read_checkpoint(path, job.settings["options"])
    _check_sizes(job, path, checkpoint)
    save_checkpoint(checkpoint, job.output / "generator.safetensors")


def _published(job: Job) -> Path:
    """The file that was published, or the folder where there are several."""
    if "weights" not in job.inputs:
        path = Path(job.settings["path"])
        verify(path, job.settings["sha256"])
        return path
    folder = job.input("weights") / "files"
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    return files[0] if len(files) == 1 else folder


def _check_sizes(job: Job, path: Path, checkpoint: Checkpoint) -> None:
    generator = build_generator(checkpoint)
    sizes = {
        "resolution": generator.resolution,
        "w_dim": generator.w_dim,
        "layer_resolutions": list(generator.layer_resolutions),
    }
    for key, found in sizes.items():
        expected = job.settings[key]
        if expected not in (None, found):
            raise LowRankGANError(
                f"generator.{key}: {expected}, the weights in {path} have {found}; "
                "correct the configuration"
            )


if __name__ == "__main__":
    run(main)
