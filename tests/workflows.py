"""Runs of the Snakefile, for tests."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Snakemake with results in a folder of their own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--profile", str(ROOT / "profiles/default")]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder)
