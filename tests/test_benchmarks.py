"""`make bench` with tiny settings; what it measures is not asserted, what it says of it is."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmarks import report, run

TINY: dict[str, Any] = {
    "overrides": ["experiment=dcgan_small"],
    "repeats": 2,
    "analysis_resolution": 32,
    "seed": 0,
    "jacobian": {"rows": 2, "columns": 4, "batches": [1, 2]},
    "grams": {"regions": 3},
    "krylov": {"region": "eyes", "count": 2, "tolerance": 1e-3},
    "factorization": {
        "region": "eyes",
        "regions": ["eyes", "mouth"],
        "tolerance": 1e-5,
        "max_iterations": 5000,
        "lambdas": 2,
        "processes": 1,
    },
    "scaling": {
        "base": {"d": 8, "resolution": 16, "channels": 4, "regions": 1, "images": 1},
        "d": [8, 16],
        "faces": [1, 2],
    },
    "planning": {"values": 2, "seeds": 2},
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return run.measure(TINY)


def test_every_side_computed_the_same(results: dict[str, Any]) -> None:
    errors = dict(results["jacobian"]["error"])
    assert errors.pop("engine") < 0.02  # where the processor has units for bfloat16
    assert max(errors.values()) < 1e-4
    assert results["krylov"]["error"] < 1e-2
    assert abs(results["factorization"]["excess"]["this"]) < 1e-3
    assert 0 < results["factorization"]["excess"]["published"] < 0.1
    assert results["planning"]["jobs"] > 30


def test_results_become_a_table_and_a_figure(results: dict[str, Any], tmp_path: Path) -> None:
    run.write(results, tmp_path / "results")
    assert json.loads((tmp_path / "results.json").read_text())["settings"] == TINY
    table = (tmp_path / "results.md").read_text()
    for ratio in report.ratios(results):
        assert f"| {ratio.name} | {ratio.values[0]:#.3g}".rstrip(".") in table
    assert "extrapolated from 2 of 1024 rows and 4 of 100 columns" in table
    assert "8 pursuits (2 lambdas, 2 regions" in table
    with Image.open(tmp_path / "results.png") as picture:
        assert picture.width > 1000
    assert {path.name for path in tmp_path.iterdir()} == {
        f"results.{kind}" for kind in ("json", "md", "png")
    }


def test_without_a_gpu_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert run.main("gpu") == 0
    assert capsys.readouterr().out.count("\n") == 1
