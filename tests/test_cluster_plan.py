"""What would run on SLURM, of the experiments that are meant for it."""

from pathlib import Path

from tests.conftest import ROOT
from tests.workflows import planned, snakemake
from workflow.paper import experiments


def test_the_papers_experiments_can_be_grouped_into_jobs(tmp_path: Path) -> None:
    """Snakemake refuses groups that wait for each other when it makes the plan."""
    names = experiments(quick=False) + experiments(quick=True)
    arguments = [f"experiment={names[0]}", f"together={','.join(names)}"]
    (tmp_path / "conf").symlink_to(ROOT / "conf")  # directions that are files are found from here
    profile = ["--profile", str(ROOT / "profiles/slurm")]
    done = snakemake(tmp_path, *profile, "-n", "measured", "--config", *arguments)
    assert planned(done)["metrics"] > 100
