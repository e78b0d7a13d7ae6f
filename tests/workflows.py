"""Runs of the Snakefile, for tests."""

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Snakemake with results in a folder of their own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--profile", str(ROOT / "profiles/default")]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=folder)


def planned(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Jobs by rule that a dry run announces."""
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)
    return {name: int(count) for name, count in rows if name not in ("all", "total")}
