"""The DAG on checkpoints in the layouts that users have."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from lowrankgan.linearization import fast_tangents
from tests.references import CHECKPOINTS
from tests.workflows import snakemake

_SHORT = (
    "region=[eyes] subspace=[unprojected,constrained] sample.analysis_seeds=[0] "
    "sample.test_faces=1 edit.transfer_methods=[] edit.published_steps=[] metric.vgg=false "
    "figure.faces=1 jacobian.save=true jacobian.splits=[3] factorization.rank=[] "
    "+subspace.constrained.jacobian.splits=[]"
)


@pytest.mark.parametrize(
    ("experiment", "checkpoint"),
    [
        ("stylegan2_random", "rosinality_uncond_r32.pt"),
        ("stylegan3_random", "nv_sg3t_uncond_r32.pkl"),
        ("biggan_random", "ajbrock_biggan_r128.pth"),
    ],
)
def test_a_checkpoint_runs_through_every_stage(
    tmp_path: Path, experiment: str, checkpoint: str
) -> None:
    place = CHECKPOINTS / checkpoint
    override = f"set=generator.weights.path={place} {_SHORT}"
    done = snakemake(tmp_path, "--config", f"experiment={experiment}", override)
    assert done.returncode == 0, done.stdout + done.stderr
    comparison = pd.read_csv(tmp_path / f"results/{experiment}/tables/comparison.csv")
    assert set(comparison["method"]) == {"constrained"}
    assert (tmp_path / f"results/{experiment}/report.html").stat().st_size > 100_000
    (folder,) = tmp_path.glob("results/jacobian/*")  # of groups, for both methods
    columns = np.load(folder / "jacobian.npy").astype(np.float64)
    arrays = load_file(folder / "gram.safetensors")
    with safe_open(folder / "gram.safetensors", "numpy") as file:
        assert file.metadata()["tangents"] == str(fast_tangents(torch.zeros(1)))
    name = next(key for key in arrays if key.startswith("mask/")).removeprefix("mask/")
    rows = columns[:, :, arrays[f"mask/{name}"]].reshape(len(columns), -1)
    inside = arrays[f"inside/{name}"]
    np.testing.assert_allclose(rows @ rows.T / rows.shape[1], inside, atol=1e-9 * inside.max())
