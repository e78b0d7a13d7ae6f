import re

import yaml

from tests.conftest import ROOT

_HASHES = r"(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+"
_PINNED = re.compile(rf"^([a-z0-9-]+==[A-Za-z0-9.]+) \\\n{_HASHES}", re.MULTILINE)


def _lock() -> list[str]:
    return _PINNED.findall((ROOT / "requirements.lock").read_text())


def test_environment_yml_has_the_pins_of_the_lock_file() -> None:
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pinned,) = (item["pip"] for item in dependencies if isinstance(item, dict))
    assert pinned == _lock()


def test_everything_is_pinned_once_with_hashes_and_torch_as_make_installs_it_first() -> None:
    names = [line.split("==")[0] for line in _lock()]
    text = (ROOT / "requirements.lock").read_text()
    assert not [line for line in _PINNED.sub("", text).splitlines() if not line.startswith("#")]
    assert len(set(names)) == len(names)
    (torch,) = (line for line in _lock() if line.startswith("torch=="))
    assert f"TORCH ?= {torch}" in (ROOT / "Makefile").read_text()
