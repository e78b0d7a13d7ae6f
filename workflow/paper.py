"""`make paper`: every experiment of the comparison, from shared stages and in one plan."""

import os
import shlex
import sys

from lowrankgan.errors import LowRankGANError
from workflow.configuration import CONF, load_configuration
from workflow.overrides import encoded, split
from workflow.plan import unroll
from workflow.run import make, run
from workflow.steps import Step


def main() -> int:
    """Run `conf/experiment/paper_*.yaml`, or the quick ones; other words of ARGS are overrides.

    What they measure is run as one plan, so that nothing waits for the last job of another
    experiment; then each writes its tables and its report, or says what it lacks for them.
    """
    try:
        words = split(os.environ.get("ARGS", ""), "ARGS")
        names = experiments(quick="quick" in words)
        overrides = [word for word in words if word != "quick"]
        steps: dict[tuple[str, str], Step] = {}
        for name in names:
            steps |= unroll(load_configuration([f"experiment={name}", *overrides])).measured
        config = [f"experiment={names[0]}", f"together={','.join(names)}"]
        make(steps, *config, f"set={encoded(shlex.join(overrides))}", target="measured")
    except LowRankGANError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = [name for name in names if run(shlex.join([f"experiment={name}", *overrides]))]
    if failed:
        print(f"error: failed: {', '.join(failed)}; see above", file=sys.stderr)
    return len(failed)


def experiments(quick: bool) -> list[str]:
    """Names of the paper's, those for two cores or those for a GPU or a cluster."""
    found = sorted(path.stem for path in (CONF / "experiment").glob("paper_*.yaml"))
    return [name for name in found if name.endswith("_quick") == quick]


if __name__ == "__main__":
    sys.exit(main())
