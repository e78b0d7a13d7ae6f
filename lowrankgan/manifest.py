"""The manifest of a finished experiment: what every file of it was made from, and with what."""

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from lowrankgan.errors import LowRankGANError
from lowrankgan.records import RECORD, check_record, hashes, sha256, version_of

MANIFEST = "manifest.json"


def manifest_of(published: Path, steps: Sequence[Path], code: Path) -> dict[str, Any]:
    """Describe an experiment.

    Args:
        published: folder of the files that people open, `configuration.yaml` among them.
        steps: folders of all steps, each with its record and, where Snakemake measured it, its
            `benchmark.tsv`.
        code: folder of the project.

    Returns:
        configuration (resolved, as text); seeds of all faces; weights, SHA-256 by package, address
        or path; the machine; code and files, SHA-256 by path; and for each step its stage, key,
        settings, versions of Python and packages, machine and device that it ran on, seconds,
        max_rss_mb (None where nobody measured) and the sha256 of its record, which has those of
        the files.
    """
    described = []
    seeds: set[int] = set()
    weights: dict[str, str] = {}
    for folder in steps:
        record = json.loads((folder / RECORD).read_bytes())
        settings = record["settings"]
        step = {"stage": folder.parent.name, "key": folder.name, "settings": settings}
        step |= {name: record.get(name) for name in ("machine", "device")}
        step["versions"] = {"python": record.get("python")} | record.get("versions", {})
        described.append(step | _measured(folder) | {"sha256": sha256(folder / RECORD)})
        seeds |= set(settings.get("seeds", ()))
        for name in ("requirement", "url", "path", "classifier"):
            if name in settings:
                pinned = settings["sha256"]  # or what the download had that was trusted
                weights[settings[name]] = pinned or record["sha256"][f"files/{settings['file']}"]
    sources = [
        path
        for name in ("lowrankgan", "scripts", "workflow")
        for path in sorted((code / name).rglob("*"))
        if path.suffix in (".py", ".smk")
    ]
    return {
        "configuration": (published / "configuration.yaml").read_text(),
        "seeds": sorted(seeds),
        "weights": weights,
        "machine": {
            "platform": platform.platform(),
            "processors": psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        },
        "code": {path.relative_to(code).as_posix(): sha256(path) for path in sources},
        "files": hashes(published),
        "steps": described,
    }


def _measured(folder: Path) -> dict[str, float | None]:
    try:
        with (folder / "benchmark.tsv").open() as stream:
            (row,) = csv.DictReader(stream, delimiter="\t")
        return {"seconds": float(row["s"]), "max_rss_mb": float(row["max_rss"])}
    except (OSError, ValueError, LookupError):
        return {"seconds": None, "max_rss_mb": None}


def verify(results: Path, code: Path) -> tuple[list[str], list[str], int]:
    """Check the experiments of a results folder, and all that they rest on, against manifests.

    Args:
        results: the folder that holds `<experiment>/manifest.json`, or one such experiment.
        code: folder of the project.

    Returns:
        What does not hold, a line each; what else is not as it was, code and versions, which says
        nothing against the files; and the number of files that were checked.

    Raises:
        LowRankGANError: there is no manifest.
    """
    own = results / MANIFEST
    manifests = [own] if own.is_file() else sorted(results.glob(f"*/{MANIFEST}"))
    if not manifests:
        raise LowRankGANError(
            f"{results}: holds no {MANIFEST}; expected the folder of results, such as results/"
        )
    problems: dict[str, None] = {}
    changed: dict[str, None] = {}
    checked: set[Path] = set()
    for path in manifests:
        try:
            manifest = json.loads(path.read_bytes())
            steps, files = manifest["steps"], manifest["files"]
            problems |= dict.fromkeys(_files(path.parent, files, checked))
            problems |= dict.fromkeys(_steps(path.parent.parent, steps, checked))
            changed |= dict.fromkeys(_changed(manifest, code))
        except (ValueError, LookupError, TypeError, AttributeError):
            problems[f"{path}: is no manifest; run the experiment again"] = None
    return list(problems), list(changed), len(checked)


def _changed(manifest: Mapping[str, Any], code: Path) -> list[str]:
    found = []
    for name, value in manifest["code"].items():
        path = code / name
        if not path.is_file() or sha256(path) != value:
            found.append(f"{name}: has changed since")
    parts = (manifest, *manifest["steps"])  # manifests of old have versions of their own alone
    versions = [pair for part in parts for pair in part.get("versions", {}).items()]
    for package, version in dict.fromkeys(versions):
        now = platform.python_version() if package == "python" else version_of(package)
        if now != version:
            found.append(f"{package}: was {version}, is {now}")
    return found


def _files(folder: Path, files: Mapping[str, str], checked: set[Path]) -> list[str]:
    problems = []
    for name, value in files.items():
        path = folder / name
        checked.add(path)
        if not path.is_file():
            problems.append(f"{path}: is missing")
        elif sha256(path) != value:
            problems.append(f"{path}: its content is not that of the manifest")
    return problems


def _steps(results: Path, steps: Sequence[Mapping[str, Any]], checked: set[Path]) -> list[str]:
    problems = []
    for step in steps:
        folder = results / step["stage"] / step["key"]
        try:
            if folder / RECORD not in checked:
                record = check_record(folder)
                checked |= {folder / RECORD, *(folder / name for name in record["sha256"])}
            if sha256(folder / RECORD) != step["sha256"]:
                problems.append(f"{folder / RECORD}: is not that of the manifest")
        except LowRankGANError as error:
            problems.append(str(error))
    return problems
