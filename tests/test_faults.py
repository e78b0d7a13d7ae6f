"""What breaks on the way costs time, never a number: the small experiment under faults."""

import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT

_KILLS = 20
_ARGS = (
    "experiment=dcgan_small name=faults region=[eyes] subspace=[unprojected,constrained] "
    "sample.test_faces=1 sample.analysis_seeds=[0] edit.published_steps=[] "
    "edit.transfer_methods=[] metric.vgg=false figure.faces=1 factorization.rank=[]"
)


def _start(folder: Path, profile: str = "", **options: object) -> "subprocess.Popen[str]":
    environment = os.environ | {"ARGS": _ARGS, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    environment["PROFILE"] = profile
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "workflow.run"],
        cwd=folder,
        env=environment,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **{"stdout": subprocess.PIPE} | options,
    )


def _run(folder: Path, profile: str = "", **options: object) -> tuple[int, str]:
    run = _start(folder, profile, **options)
    said, _ = run.communicate(timeout=600)
    return run.returncode, said


def _errors(said: str) -> list[str]:
    assert "Traceback" not in said, said[-3000:]
    return [line for line in said.splitlines() if line.startswith("error: ")]


def _same(folder: Path, undisturbed: Path) -> None:
    tables = Path("results/faults/tables")
    names = sorted(path.name for path in (undisturbed / tables).iterdir())
    same, differ, missing = filecmp.cmpfiles(
        undisturbed / tables, folder / tables, names, shallow=False
    )
    assert (sorted(same), differ, missing) == (names, [], [])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    code, said = _run(folder)
    assert code == 0, said[-3000:]
    return folder


@pytest.fixture
def jobs_at_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], str]:
    """The default profile with another number of jobs at once than all cores."""

    def profile(jobs: int) -> str:
        text = (ROOT / "profiles/default/config.yaml").read_text()
        assert "cores: all" in text
        assert "mem_mb=8000" in text
        folder = tmp_path_factory.mktemp("profile")
        text = text.replace("cores: all", f"cores: {jobs}").replace("mem_mb=8000", "mem_mb=64000")
        (folder / "config.yaml").write_text(text)
        return str(folder)

    return profile


@pytest.fixture
def copy(undisturbed: Path, tmp_path: Path) -> Path:
    """A folder in which the experiment is done."""
    subprocess.run(["cp", "-a", f"{undisturbed}/.", str(tmp_path)], check=True)
    return tmp_path


def _ended(run: "subprocess.Popen[str]", seconds: float) -> bool:
    try:
        run.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _at_work(front: psutil.Process) -> bool:
    """Whether a job runs: a child of Snakemake, which is the child of the command."""
    return len(front.children(recursive=True)) > len(front.children())


def test_killed_at_random_moments(undisturbed: Path, tmp_path: Path) -> None:
    """Half of the kills wait for a job, for a busy machine is slow to start one."""
    chance, hits = random.Random(0), 0
    for kill in range(_KILLS):
        run = _start(tmp_path, stdout=subprocess.DEVNULL)
        front = psutil.Process(run.pid)
        at_work = kill % 4 > 1
        if at_work:
            while not _ended(run, 0.1) and not _at_work(front):
                pass
        if _ended(run, chance.uniform(0.1, 2 if at_work else 8)):
            assert run.returncode == 0
            # A fast machine is done before all of them; jobs that survived may still write.
            shutil.rmtree(tmp_path / "results", ignore_errors=True)
            continue
        hits += _at_work(front)
        if kill % 2:
            os.killpg(run.pid, signal.SIGKILL)
        else:  # the jobs go on by themselves, while the next run starts them again
            for process in (front, *front.children()):
                process.kill()
        run.wait()
    assert hits >= _KILLS // 3
    code, said = _run(tmp_path)
    assert code == 0, said[-3000:]
    _same(tmp_path, undisturbed)
    assert not list(tmp_path.glob("results/*/*/.partial*"))


def test_two_runs_at_once_of_many_jobs(
    undisturbed: Path, tmp_path: Path, jobs_at_once: Callable[[int], str]
) -> None:
    runs = [_start(tmp_path, jobs_at_once(8)) for _ in range(2)]
    said = [run.communicate(timeout=600)[0] for run in runs]
    codes = sorted(run.returncode for run in runs)
    assert codes == [0, 2], said
    (refused,) = [line for text in said for line in _errors(text)]
    assert "another run is at work in this folder" in refused
    _same(tmp_path, undisturbed)


def test_a_full_disk_and_then_one_job_at_a_time(
    undisturbed: Path, tmp_path: Path, jobs_at_once: Callable[[int], str]
) -> None:
    size = sum(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    mounted = _mount(tmp_path, f"size={size // 2}")
    options: dict[str, object] = {} if mounted else {"preexec_fn": _only_small_files}
    try:
        code, said = _run(tmp_path, **options)
        assert code != 0
        assert _errors(said), said[-3000:]
        if mounted:
            _mount(tmp_path, f"remount,size={4 * size}")
        code, said = _run(tmp_path, jobs_at_once(1))
        assert code == 0, said[-3000:]
        _same(tmp_path, undisturbed)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def _mount(folder: Path, options: str) -> bool:
    """A small disk, which only root can have."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


def _only_small_files() -> None:
    """In the child: larger files cannot be written, as on a disk that is full."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def _truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


_DAMAGED = [
    # First, for pictures are drawn anew once metrics are measured anew.
    ("results/picture/*/figures/strips.png", _flip, "faults"),
    ("results/jacobian/*/gram.safetensors", _truncate, "factorize"),
    ("results/convert/*/generator.safetensors", _flip, "metrics"),
    ("results/subspace/*/directions.safetensors", _flip, "metrics"),
]


def test_a_damaged_artefact_is_refused_by_name(copy: Path, undisturbed: Path) -> None:
    """Each in turn, set right again for the next; at last all of them removed, as errors say."""
    damaged = []
    for pattern, damage, readers in _DAMAGED:
        path = sorted(copy.glob(pattern))[0]
        before, content = path.stat(), path.read_bytes()
        damage(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # nobody sees it by the time
        for folder in (readers, "tables", "faults"):
            subprocess.run(["rm", "-rf", str(copy / "results" / folder)], check=True)
        code, said = _run(copy)
        assert code != 0
        refused = f"{path.relative_to(copy)}: its content is not what"
        assert any(refused in line for line in _errors(said)), said[-3000:]
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        damaged.append(path)
    for path in damaged:
        subprocess.run(["rm", "-rf", str(path.parent)], check=True)
    code, said = _run(copy)
    assert code == 0, said[-3000:]
    _same(copy, undisturbed)


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("not a folder")
    code, said = _run(tmp_path)
    assert code == 2
    (error,) = _errors(said)
    assert error.startswith("error: results: cannot be written")
    assert (tmp_path / "results").read_text() == "not a folder"


def test_a_clock_set_back(copy: Path, undisturbed: Path) -> None:
    tomorrow = time.time() + 86_400
    for path in copy.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    subprocess.run(["rm", "-rf", *map(str, copy.glob("results/metrics/*"))], check=True)
    code, said = _run(copy)
    assert code == 0, said[-3000:]
    _same(copy, undisturbed)
