"""How long Snakemake takes to plan a sweep of many jobs on the small generator."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).resolve().parent.parent


def run(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Plan the 64 px experiment at many shares of energy and analysis images, and run nothing."""
    s = settings["planning"]
    energies = ",".join(f"{energy:.5f}" for energy in np.linspace(0.5, 0.99, s["values"]))
    seeds = ",".join(map(str, range(s["seeds"])))
    overrides = f"factorization.energy=[{energies}] sample.analysis_seeds=[{seeds}]"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(_ROOT / "Snakefile")]
        command += ["--profile", str(_ROOT / "profiles/default"), "--directory", folder]
        command += ["--dry-run", "--config", "experiment=dcgan_small", f"set={overrides}"]
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        took = time.perf_counter() - start
    found = re.search(r"^total +(\d+)$", done.stdout + done.stderr, flags=re.MULTILINE)
    assert found is not None
    return {"jobs": int(found[1]), "seconds": took}
