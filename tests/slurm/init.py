"""The first process of a node: `init.py DAEMON ARGUMENT...` runs a daemon, and reaps as init does.

Steps of jobs detach themselves from slurmd. Here they stay below the node, so that they end with
it, and are reaped: SLURM takes a dead process that nobody reaped for one that it cannot kill.
"""

import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _end_with_parent()
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    daemon = subprocess.Popen(sys.argv[1:], preexec_fn=_end_with_parent)
    while True:
        pid, status = os.wait()
        if pid == daemon.pid:
            sys.exit(os.waitstatus_to_exitcode(status))
