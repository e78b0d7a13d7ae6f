"""A SLURM of several nodes on this machine, which ends with the process that started it.

Everything that it needs (keys, sockets, state, logs) is in one folder; a SLURM that the machine
may already have is not touched. Needs root, and Debian's slurm-wlm and munge.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_INIT = Path(__file__).with_name("init.py")
_NODES = {"c1": "", "c2": "", "g1": " Gres=gpu:2"}
_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdSpoolDir={folder}/spool_%n
SlurmdPidFile={folder}/slurmd_%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=1,sched_min_interval=500000
SlurmdTimeout=10
KillWait=2
ReturnToService=1
GresTypes=gpu
{nodes}
PartitionName=cpu Nodes=c1,c2 Default=YES
PartitionName=gpu Nodes=g1
"""


@dataclass
class Cluster:
    """A running SLURM.

    Attributes:
        environment: what a process needs in order to find it.
        nodes: name to its first process, above slurmd and all jobs.
    """

    environment: dict[str, str]
    nodes: dict[str, psutil.Popen] = field(default_factory=dict)

    def run(self, *command: str) -> str:
        """What a command of SLURM's prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout

    def kill(self, node: str) -> None:
        """What a power cut does: the node's slurmd and all its jobs end at once."""
        _kill(self.nodes.pop(node))


@contextlib.contextmanager
def started() -> Iterator[Cluster]:
    """A cluster with the partitions `cpu` (nodes c1, c2) and `gpu` (g1, its GPUs a pretence).

    Raises:
        RuntimeError: a daemon ended, or the nodes were not ready within half a minute.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # all who may run jobs reach munge's socket, or munged does not start
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    ports = _free_ports(1 + len(_NODES))
    host = socket.gethostname().split(".")[0]
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 "
        f"RealMemory=32000{gres} State=UNKNOWN"
        for (name, gres), port in zip(_NODES.items(), ports[1:], strict=True)
    )
    conf = _CONF.format(host=host, controller=ports[0], folder=folder, nodes=nodes)
    (folder / "slurm.conf").write_text(conf)
    gpus = [f"NodeName=g1 Name=gpu File={file}\n" for file in ("/dev/null", "/dev/zero")]
    (folder / "gres.conf").write_text("".join(gpus))
    outside = {name: text for name, text in os.environ.items() if not name.startswith("SLURM_")}
    path = f"{_srun(folder)}:{os.environ['PATH']}"
    cluster = Cluster(outside | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path})
    daemons: list[psutil.Popen] = []

    def start(*command: str) -> psutil.Popen:
        name = (
            f"{Path(command[0]).name}_{command[-1]}" if "-N" in command else Path(command[0]).name
        )
        with (folder / f"{name}.log").open("wb") as log:
            daemon = psutil.Popen(
                [sys.executable, str(_INIT), *command], env=cluster.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        daemons.append(daemon)
        return daemon

    try:
        start(
            _daemon("munged"), "--foreground", f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid",
            f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed",
        )  # fmt: skip
        _wait(lambda: (folder / "munge.socket").exists(), daemons, folder)
        start(_daemon("slurmctld"), "-D", "-c")
        for name in _NODES:
            cluster.nodes[name] = start(_daemon("slurmd"), "-D", "-N", name)
        _wait(lambda: _idle(cluster) == set(_NODES), daemons, folder)
        yield cluster
    finally:
        for daemon in reversed(daemons):
            _kill(daemon)
        shutil.rmtree(folder)


def _srun(folder: Path) -> Path:
    """A folder for PATH, whose srun finds the cluster: Snakemake's job step drops SLURM_CONF."""
    (folder / "bin").mkdir()
    script = folder / "bin/srun"
    found = shutil.which("srun")
    script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {found} "$@"\n')
    script.chmod(0o755)
    return script.parent


def _daemon(name: str) -> str:
    """Where Debian puts daemons is not on everyone's PATH."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(f"{name}: not found; apt-get install slurm-wlm munge")
    return found


def _kill(node: psutil.Popen) -> None:
    """A node's first process and all below it. It is stopped first, for it would end with its
    daemon, and what is left would be out of sight.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        node.suspend()
        while living := [p for p in node.children(recursive=True) if _lives(p)]:
            for process in living:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(living, timeout=0.1)
        node.kill()
    node.wait()


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _idle(cluster: Cluster) -> set[str]:
    try:
        return set(cluster.run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split())
    except subprocess.CalledProcessError:  # slurmctld does not answer yet
        return set()


def _wait(ready, daemons: list[psutil.Popen], folder: Path) -> None:
    end = time.monotonic() + 30
    while not ready():
        ended = [daemon.args[2] for daemon in daemons if daemon.poll() is not None]
        if ended or time.monotonic() > end:
            logs = "\n".join(p.read_text(errors="replace")[-2000:] for p in folder.glob("*.log"))
            raise RuntimeError(f"ended: {ended}, or not ready in time\n{logs}")
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
