import re

import yaml

from tests.conftest import ROOT


def _lock() -> list[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_environment_yml_has_the_pins_of_the_lock_file() -> None:
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pinned,) = (item["pip"] for item in dependencies if isinstance(item, dict))
    assert pinned == _lock()


def test_everything_is_pinned_once_and_torch_as_make_installs_it_first() -> None:
    names = [line.split("==")[0].lower() for line in _lock()]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in _lock())
    assert len(set(names)) == len(names)
    (torch,) = (line for line in _lock() if line.startswith("torch=="))
    assert f"TORCH ?= {torch}" in (ROOT / "Makefile").read_text()
