"""What every script shares: its arguments, its log, its output written whole or not at all."""

import json
import logging
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from safetensors import SafetensorError

from lowrankgan.errors import LowRankGANError
from lowrankgan.memory import shortage_line
from lowrankgan.records import RECORD, check_record, hashes, unpacked, version_of

_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "lpips",
    "ai-edge-litert",
    "dlib-bin",
)


@dataclass(frozen=True)
class Job:
    """A step as the workflow hands it to its script.

    Attributes:
        settings: plain values.
        inputs: role to the folders of the steps that it builds on.
        output: folder to write to; its files move to their place when the script has ended well.
    """

    settings: Mapping[str, Any]
    inputs: Mapping[str, list[Path]]
    output: Path

    def input(self, role: str) -> Path:
        """The folder of a role that has just one."""
        (folder,) = self.inputs[role]
        return folder


def run(main: Callable[[Job], None]) -> None:
    """Run a script on the job in its one argument; ends the process with 1 on a user's error.

    What it writes stands in a folder of this process until it is whole: of a run that was killed
    a job may still be at work while the next run starts the same one.
    """
    started = time.time()
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    raw = json.loads(unpacked(sys.argv[1]))
    target = Path(raw["output"])
    partial = target / f".partial-{socket.gethostname()}-{os.getpid()}"
    inputs = {role: [Path(folder) for folder in folders] for role, folders in raw["inputs"].items()}
    try:
        _sweep(target)
        partial.mkdir(parents=True)
        for folder in {folder for folders in inputs.values() for folder in folders}:
            check_record(folder)
        main(Job(raw["settings"], inputs, partial))
        (partial / RECORD).write_text(json.dumps(_record(raw, partial), indent=1) + "\n")
        _publish(partial, target)
        to_start = started - psutil.Process().create_time()
        print(f"time: {to_start:.1f} s to start, {time.time() - started:.1f} s of work")
    except (LowRankGANError, OSError, SafetensorError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        print(f"error: {shortage_line(error)}", file=sys.stderr)
        sys.exit(1)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove what processes of this machine that are no more have left unfinished."""
    for left in target.glob(f".partial-{socket.gethostname()}-*"):
        if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)


def _publish(partial: Path, target: Path) -> None:
    """Move everything, the record last: a folder that has one is complete."""
    for item in sorted(partial.iterdir(), key=lambda path: path.name == RECORD):
        place = target / item.name
        if place.is_dir():
            shutil.rmtree(place)
        item.replace(place)


def _device() -> str:
    """The GPU that a job had, if it used torch at all."""
    torch = sys.modules.get("torch")
    return str(torch.cuda.get_device_name()) if torch and torch.cuda.is_available() else "cpu"


def _record(raw: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {
        "settings": raw["settings"],
        "inputs": raw["inputs"],
        "python": platform.python_version(),
        "machine": platform.platform(),
        "device": _device(),
        "versions": {name: version_of(name) for name in _PACKAGES},
        "sha256": hashes(folder),
    }
