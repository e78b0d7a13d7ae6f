"""The files of code that a stage runs: its script and everything of this project it imports."""

import ast
import os
from functools import cache
from pathlib import Path


def code_of(base: Path, stage: str) -> list[str]:
    """The script of a stage first, then what it imports from here, directly or not.

    Listed as inputs of a rule, an edit to any of them reruns the stage and what follows from it.
    """
    script = base / "scripts" / f"{stage}.py"
    found = _imported(base, script) - {script}
    return [os.path.relpath(path) for path in (script, *sorted(found))]


@cache
def _imported(base: Path, file: Path) -> frozenset[Path]:
    seen, todo = set(), [file]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in _imports(path):
            todo += _files(base, name)
    return frozenset(seen)


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _files(base: Path, module: str) -> list[Path]:
    """The file of a module of the library or of the scripts, with the packages that hold it."""
    parts = module.split(".")
    parents = [base.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    candidates = [
        base.joinpath(*parts).with_suffix(".py"),
        base / "scripts" / f"{module}.py",
        *parents,
    ]
    return [path for path in candidates if path.is_file()]
