"""A SLURM of several nodes on this machine, which ends with the process that started it.

Everything that it needs (keys, sockets, state, logs) is in one folder; a SLURM that the machine
may already have is not touched. Needs root, and Debian's slurm-wlm and munge.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_NODES = {"c1": "", "c2": "", "g1": " Gres=gpu:1"}
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
        nodes: name to the process of its slurmd.
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
def started(folder: Path) -> Iterator[Cluster]:
    """A cluster with the partitions `cpu` (nodes c1, c2) and `gpu` (g1, its GPU a pretence).

    Raises:
        RuntimeError: a daemon ended, or the nodes were not ready within half a minute.
    """
    folder.mkdir()
    folder.chmod(0o755)
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
    (folder / "gres.conf").write_text("NodeName=g1 Name=gpu Count=1 File=/dev/null\n")
    outside = {name: text for name, text in os.environ.items() if not name.startswith("SLURM_")}
    cluster = Cluster(outside | {"SLURM_CONF": str(folder / "slurm.conf")})
    daemons: list[psutil.Popen] = []

    def start(*command: str) -> psutil.Popen:
        name = (
            f"{Path(command[0]).name}_{command[-1]}" if "-N" in command else Path(command[0]).name
        )
        with (folder / f"{name}.log").open("wb") as log:
            daemon = psutil.Popen(
                command, env=cluster.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_bound_to_this_process,
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


def _daemon(name: str) -> str:
    """Where Debian puts daemons is not on everyone's PATH."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(f"{name}: not found; apt-get install slurm-wlm munge")
    return found


def _bound_to_this_process() -> None:
    """In the child: it is killed when this process ends however that be; and the steps of jobs,
    which detach themselves from slurmd, stay below it, where they are found.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _kill(daemon: psutil.Popen) -> None:
    """A daemon and all below it. Stopped first: it can then start nothing that is not seen."""
    with contextlib.suppress(psutil.NoSuchProcess):
        daemon.suspend()
        family = [*daemon.children(recursive=True), daemon]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)
    daemon.wait()


def _idle(cluster: Cluster) -> set[str]:
    try:
        return set(cluster.run("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split())
    except subprocess.CalledProcessError:  # slurmctld does not answer yet
        return set()


def _wait(ready, daemons: list[psutil.Popen], folder: Path) -> None:
    end = time.monotonic() + 30
    while not ready():
        ended = [daemon.args[0] for daemon in daemons if daemon.poll() is not None]
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
