"""`make paper`: every experiment of the comparison, one after another, from shared stages."""

import os
import sys

from workflow.configuration import CONF
from workflow.run import run


def main() -> int:
    """Run `conf/experiment/paper_*.yaml`, or the quick ones; other words of ARGS are overrides."""
    words = os.environ.get("ARGS", "").split()
    quick = "quick" in words
    overrides = " ".join(word for word in words if word != "quick")
    names = sorted(path.stem for path in (CONF / "experiment").glob("paper_*.yaml"))
    failed = [
        name
        for name in names
        if name.endswith("_quick") == quick and run(f"experiment={name} {overrides}".strip())
    ]
    if failed:
        print(f"error: failed: {', '.join(failed)}; see above", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
