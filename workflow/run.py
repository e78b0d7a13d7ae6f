"""`make run`: checks the configuration, runs Snakemake, and says where the results are."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from lowrankgan.errors import LowRankGANError
from workflow.configuration import load_configuration
from workflow.overrides import encoded
from workflow.plan import Plan, unroll
from workflow.schema import Configuration


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
        configuration = load_configuration(_split(arguments))
        plan = unroll(configuration)
    except LowRankGANError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    profile = os.environ.get("PROFILE", "profiles/default")
    command = [sys.executable, "-m", "snakemake", "--profile", profile]
    if arguments.strip():
        command += ["--config", f"set={encoded(arguments)}"]
    started = time.time()
    code = subprocess.run(command).returncode
    if code:
        print(_reason(plan, started), file=sys.stderr)
    else:
        print(_places(configuration))
    return code


def _split(arguments: str) -> list[str]:
    try:
        return shlex.split(arguments)
    except ValueError as error:
        raise LowRankGANError(f"ARGS: {error}") from error


def _reason(plan: Plan, started: float) -> str:
    """The error of the first step that failed in this run, in its own words."""
    for step in plan.steps.values():
        log = Path(step.folder) / "log.txt"
        if log.is_file() and log.stat().st_mtime >= started:
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith("error: "):
                    return line
    return "error: a step failed, see above"


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
