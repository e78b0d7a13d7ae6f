"""What would run on SLURM, of the experiments that are meant for it."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.workflows import planned, snakemake
from workflow.overrides import encoded
from workflow.paper import experiments


@pytest.mark.parametrize("quick", [True, False])
def test_the_papers_experiments_can_be_grouped_into_jobs(quick: bool, tmp_path: Path) -> None:
    """Snakemake refuses groups that wait for each other when it makes the plan."""
    names = experiments(quick)
    assert names
    arguments = [f"experiment={names[0]}", f"together={','.join(names)}"]
    if not quick:  # for a cluster, and for the generator that the paper has
        arguments.append(f"set={encoded('generator=stylegan2_ffhq')}")
    (tmp_path / "conf").symlink_to(ROOT / "conf")  # directions that are files are found from here
    profile = ["--profile", str(ROOT / "profiles/slurm")]
    done = snakemake(tmp_path, *profile, "-n", "measured", "--config", *arguments)
    assert planned(done)["metrics"] > 50
