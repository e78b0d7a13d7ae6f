"""`make run`: checks the configuration, runs Snakemake, and says where the results are."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from lowrankgan.errors import LowRankGANError
from workflow.configuration import load_configuration
from workflow.overrides import encoded, split
from workflow.plan import unroll
from workflow.schema import Configuration
from workflow.steps import Steps

_BASE = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run the experiment that ARGS describes."""
    return run(os.environ.get("ARGS", ""))


def run(arguments: str) -> int:
    """Run an experiment and print where its results are.

    Args:
        arguments: overrides in Hydra's syntax; PROFILE in the environment names the profile.

    Returns:
        An exit status: 2 for what is wrong with the configuration, else Snakemake's.
    """
    try:
        configuration = load_configuration(split(arguments, "ARGS"))
        steps = unroll(configuration).steps
        code = make(steps, *([f"set={encoded(arguments)}"] if arguments.strip() else []))
    except LowRankGANError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not code:
        print(_places(configuration))
    return code


def make(steps: Steps, *config: str, target: str = "all") -> int:
    """Run Snakemake, and say which of some steps failed.

    Args:
        steps: what the target needs, to look at where it fails.
        config: what the Snakefile is told, each KEY=VALUE.
        target: a rule of the Snakefile.

    Returns:
        Snakemake's exit status.

    Raises:
        LowRankGANError: another run is at work in this folder, or it cannot be written or locked.
    """
    profile = os.environ.get("PROFILE") or str(_BASE / "profiles/default")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(_BASE / "Snakefile")]
    # Our lock ends with the processes that hold it, however they end; Snakemake's own would stay.
    command += ["--nolock", "--profile", profile, target]
    if config:
        command += ["--config", *config]
    started = time.time()
    with _locked() as lock:
        code = subprocess.run(command, pass_fds=[lock.fileno()]).returncode
    if code:
        print(_failures(steps, started), file=sys.stderr)
    return code


def _locked() -> IO[str]:
    """Hold this folder for one run at a time.

    Raises:
        LowRankGANError: another run holds it, or the folder cannot be written or locked.
    """
    path = Path(".snakemake/run.lock")
    try:
        tempfile.TemporaryFile(dir=_made(Path("results"))).close()
        _made(path.parent)
        lock = path.open("a+")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LowRankGANError(
            f"{Path.cwd()}: another run is at work in this folder; wait for it to end"
        ) from error
    except OSError as error:
        raise LowRankGANError(
            f"{error.filename or path}: cannot be written or locked ({error.strerror}); free the "
            "disk, or run on a file system where you may do both"
        ) from error
    return lock


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _failures(steps: Steps, started: float) -> str:
    """What failed in this run, each with its own words, and how much could not be done for it."""
    missing = [step for step in steps.values() if not Path(step.record).is_file()]
    lines = []
    for step in missing:
        log = Path(step.folder) / "log.txt"
        if log.is_file() and log.stat().st_mtime >= started:
            lines.append(f"error: {step.folder}: {_reason(log)}")
    if not lines:
        return "error: a step failed, see above"
    waiting = len(missing) - len(lines)
    done = len(steps) - len(missing)
    lines.append(
        f"{len(lines)} of {len(steps)} steps failed, {waiting} waited for them, {done} are "
        "done; the same command goes on from there"
    )
    return "\n".join(lines)


def _reason(log: Path) -> str:
    """The error that a step reports, or the last that it wrote."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines[-1:] or ["it ended without a word; it may have been killed"])[0]


def _places(configuration: Configuration) -> str:
    results = Path("results") / configuration.name
    picture = f"strips_{next(iter(configuration.region))}.png"
    return (
        f"report   {results / 'report.html'}\n"
        f"table    {results / 'tables' / 'comparison.md'}\n"
        f"picture  {results / 'figures' / picture}"
    )


if __name__ == "__main__":
    sys.exit(main())
