"""A sweep of the small experiment on a real SLURM, of which a node dies: `make test-slurm`."""

import filecmp
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.slurm.cluster import Cluster, started
from workflow.configuration import load_configuration
from workflow.plan import unroll

_SWEEP = (
    "name=sweep sample.test_faces=1 edit.published_steps=[] edit.transfer_methods=[] "
    "metric.vgg=false subspace.constrained.rule=rank factorization.rank=[10,20,30,40] "
    f"factorization.energy=[{','.join(f'0.{n}' for n in range(60, 87))}]"
)
_JOBS = len(unroll(load_configuration(["experiment=dcgan_small", *_SWEEP.split()])).steps)
_BEFORE = 25  # steps that are done when the node dies
_LIMIT = 1500  # seconds


def _snakemake(folder: Path, profile: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--profile", str(ROOT / "profiles" / profile)]
    return [*command, *arguments, "--config", "experiment=dcgan_small", f"set={_SWEEP}"]


def _on_cluster(folder: Path, cluster: Cluster) -> str:
    """Run the sweep, kill a node in its middle, and return what Snakemake said."""
    # Without accounting SLURM is asked by squeue; a test need not wait as long as on a real one.
    arguments = ["--slurm-status-command", "squeue"]
    arguments += ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "20"]
    with (folder / "output.txt").open("w+") as output:
        run = subprocess.Popen(
            _snakemake(folder, "slurm", *arguments),
            env=cluster.environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            for _ in range(_LIMIT):
                try:
                    run.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    done = len(list(folder.glob("results/*/*/record.json")))
                    if done >= _BEFORE and "c1" in cluster.nodes:
                        cluster.kill("c1")
        finally:
            run.kill()
        output.seek(0)
        said = output.read()
    assert run.returncode == 0, said[-4000:]
    return said


def test_a_sweep_with_a_dying_node_gives_the_bytes_of_a_local_run(tmp_path: Path) -> None:
    assert _JOBS >= 60
    local, remote = tmp_path / "a local run", tmp_path / "a cluster"
    for folder in (local, remote):
        folder.mkdir()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(_snakemake(local, "default"), check=True, env=environment, cwd=local)
    with started() as cluster:
        said = _on_cluster(remote, cluster)
        assert "c1" not in cluster.nodes
    assert said.count("has been submitted with SLURM jobid") >= 15  # small ones go together
    tables = sorted(path.name for path in (local / "results/sweep/tables").iterdir())
    assert len(tables) > 20
    same, differ, missing = filecmp.cmpfiles(
        local / "results/sweep/tables", remote / "results/sweep/tables", tables, shallow=False
    )
    assert (sorted(same), differ, missing) == (tables, [], [])
