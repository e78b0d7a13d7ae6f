"""Which edits are measured first, so that no core is left without work at the end."""

from workflow.steps import Steps


def urgencies(steps: Steps) -> dict[str, float]:
    """Priority of each step that measures edits, by its key; between -1 and 1.

    First those that pictures wait for, for pictures are many and short; then what takes longest.
    """
    pictures = [step for step in steps.values() if step.stage == "picture"]
    drawn = {metrics.key for step in pictures for metrics in step.parents["metrics"]}
    faces = {
        key: len(step.parents["sample"][0].settings["seeds"])
        for (stage, key), step in steps.items()
        if stage == "metrics"
    }
    return {key: (key in drawn) - 1 / (1 + number) for key, number in faces.items()}
