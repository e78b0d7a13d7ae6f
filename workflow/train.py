"""`make train`: checks the configuration and runs Snakemake."""

import os
import sys

from lowrankgan.errors import LowRankGANError
from workflow.configuration import load_training
from workflow.overrides import encoded, split
from workflow.run import make
from workflow.train_plan import unroll_training


def main() -> int:
    """Train what ARGS describes; 2 for what is wrong with the configuration, else Snakemake's."""
    arguments = os.environ.get("ARGS", "")
    try:
        steps = unroll_training(load_training(split(arguments, "ARGS"))).steps
        return make(steps, f"training={encoded(arguments)}", target="trained")
    except LowRankGANError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
