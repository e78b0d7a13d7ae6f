"""Which edits are measured and drawn first, so that no core is left without work at the end."""

from workflow.steps import Steps


def urgencies(steps: Steps) -> dict[str, float]:
    """Priority of each step by its key, from 0 to 1: how long a chain of edits begins with it.

    So what pictures or an order of directions wait for comes before the rest, then what takes
    longest; pictures, many and short, come last and fill what is left.

    Args:
        steps: each after those that it builds on.
    """
    chains = dict.fromkeys((key for _, key in steps), 0)
    for (stage, key), step in reversed(list(steps.items())):
        if stage == "metrics":
            (sample,), (subspace,) = step.parents["sample"], step.parents["subspace"]
            chains[key] += len(sample.settings["seeds"]) * subspace.settings["directions"]
        elif stage == "picture":
            chains[key] += 1
        for parents in step.parents.values():
            for parent in parents:
                chains[parent.key] = max(chains[parent.key], chains[key])
    longest = max(chains.values(), default=0) or 1
    return {key: length / longest for key, length in chains.items()}
