"""Artefacts are held to what their records and manifests say."""

import json
import platform
from pathlib import Path

import pytest

from lowrankgan.__main__ import main
from lowrankgan.errors import LowRankGANError
from lowrankgan.manifest import MANIFEST, manifest_of, verify
from lowrankgan.records import RECORD, canonical, check_record, hashes, key_of, packed, unpacked
from tests.conftest import ROOT

_SETTINGS = {"value": 1, "seeds": [3], "requirement": "mine==1", "sha256": "abc"}
_VERSIONS = {"python": platform.python_version(), "versions": {"a": "1"}}


@pytest.fixture
def step(tmp_path: Path) -> Path:
    folder = tmp_path / "results/sample" / key_of("sample", _SETTINGS, {})
    folder.mkdir(parents=True)
    (folder / "latents.bin").write_bytes(b"latents")
    record = {"settings": _SETTINGS, "inputs": {}, "sha256": hashes(folder)} | _VERSIONS
    (folder / RECORD).write_text(json.dumps(record))
    (folder / "benchmark.tsv").write_text("s\th:m:s\tmax_rss\n2.5\t0:00:02\t100.25\n")
    return folder


@pytest.fixture
def results(step: Path) -> Path:
    folder = step.parent.parent
    (folder / "mine/tables").mkdir(parents=True)
    (folder / "mine/configuration.yaml").write_text("name: mine\n")
    (folder / "mine/tables/comparison.csv").write_text("a,b\n")
    manifest = manifest_of(folder / "mine", [step], ROOT)
    (folder / "mine" / MANIFEST).write_text(json.dumps(manifest))
    return folder


def test_a_manifest_says_what_everything_was_made_with(results: Path, step: Path) -> None:
    manifest = json.loads((results / "mine" / MANIFEST).read_text())
    (found,) = manifest["steps"]
    assert (found["stage"], found["key"], found["settings"]) == ("sample", step.name, _SETTINGS)
    assert (found["seconds"], found["max_rss_mb"]) == (2.5, 100.25)
    assert manifest["configuration"] == "name: mine\n"
    assert set(manifest["files"]) == {"configuration.yaml", "tables/comparison.csv"}
    assert {"lowrankgan/manifest.py", "scripts/job.py", "workflow/plan.py"} <= set(manifest["code"])
    assert manifest["machine"]["processors"] >= 1
    assert verify(results, ROOT) == ([], ["a: was 1, is None"], 4)
    assert verify(results / "mine", ROOT)[0] == []
    assert (manifest["seeds"], manifest["weights"]) == ([3], {"mine==1": "abc"})
    assert found["versions"] == {"python": platform.python_version(), "a": "1"}
    other = {**found, "versions": {"a": "2"}}  # made before a package was replaced
    (results / "mine" / MANIFEST).write_text(json.dumps({**manifest, "steps": [found, other]}))
    assert verify(results, ROOT)[1] == ["a: was 1, is None", "a: was 2, is None"]
    old = {key: value for key, value in found.items() if key != "versions"}
    older = {**manifest, "steps": [old], "versions": {"a": "3"}}
    (results / "mine" / MANIFEST).write_text(json.dumps(older))
    assert verify(results, ROOT) == ([], ["a: was 3, is None"], 4)
    manifest["code"]["lowrankgan/manifest.py"] = "0" * 64
    (results / "mine" / MANIFEST).write_text(json.dumps(manifest))
    assert "lowrankgan/manifest.py: has changed since" in verify(results, ROOT)[1]


def test_a_manifest_has_the_hash_of_a_download_that_was_trusted(tmp_path: Path) -> None:
    settings = {"url": "https://a.b/c.pkl", "file": "c.pkl", "sha256": None}
    folder, published = tmp_path / "fetch/abc", tmp_path / "mine"
    for path in (folder / "files", published):
        path.mkdir(parents=True)
    (folder / "files/c.pkl").write_bytes(b"weights")
    (folder / RECORD).write_text(json.dumps({"settings": settings, "sha256": hashes(folder)}))
    (published / "configuration.yaml").write_text("name: mine\n")
    found = manifest_of(published, [folder], ROOT)["weights"]
    assert found == {"https://a.b/c.pkl": hashes(folder)["files/c.pkl"]}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mine/tables/comparison.csv", "comparison.csv: its content is not that of the manifest"),
        ("sample/{key}/latents.bin", "latents.bin: its content is not what record.json says"),
        ("sample/{key}/record.json", "record.json: cannot be read"),
    ],
)
def test_what_changed_is_named(results: Path, step: Path, name: str, problem: str, capsys) -> None:
    path = results / name.format(key=step.name)
    path.write_bytes(b"other")
    (line,), *_ = verify(results, ROOT)
    assert problem in line
    assert str(path.parent) in line
    assert main(["verify", str(results)]) == 1
    assert problem in capsys.readouterr().out
    path.unlink()
    (line,), *_ = verify(results, ROOT)
    assert str(path) in line


def test_a_record_of_other_settings_is_refused(step: Path) -> None:
    check_record(step)
    record = json.loads((step / RECORD).read_text())
    (step / RECORD).write_text(json.dumps(record | {"settings": {"value": 2}}))
    with pytest.raises(LowRankGANError, match=r"its settings are those of .*; delete the folder"):
        check_record(step)


def test_a_folder_without_manifests_is_one_line(tmp_path: Path, capsys) -> None:
    assert main(["verify", str(tmp_path)]) == 1
    assert "holds no manifest.json" in capsys.readouterr().err


def test_a_job_of_any_length_fits_a_command() -> None:
    short = canonical({"a": 1})
    assert packed(short) == short
    keys = [key_of("edit", {"n": n}, {}) for n in range(5000)]
    long = canonical({"pairs": [[f"constrained {n}", "average"] for n in range(5000)], "in": keys})
    assert len(packed(long)) < 128 * 1024 < len(long)
    assert unpacked(packed(long)) == long
    assert unpacked(short) == short
