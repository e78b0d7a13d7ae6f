"""What is published under `results/<experiment>/`, and the command that makes the report."""

from collections.abc import Mapping
from typing import Any

import yaml

from lowrankgan.records import canonical, packed
from workflow.plan import Plan
from workflow.schema import Configuration
from workflow.steps import lineage


def publish_job(configuration: Configuration, plan: Plan) -> str:
    """What `scripts/publish.py` is told, as one line of JSON."""
    settings = {
        "figures": {name: drawn.files for name, drawn in plan.figures.items()},
        "tables": plan.table_names,
        "configuration": yaml.safe_dump(configuration.model_dump(mode="json", by_alias=True)),
        "steps": [step.folder for step in plan.steps.values()],
        "methods": [
            [label, [step.folder for step in lineage([measured]).values()]]
            for label, measured in plan.methods.items()
        ],
    }
    inputs = {"tables": [plan.tables.folder]}
    inputs["figures"] = [step.folder for step in plan.drawing]  # so that their files are checked
    output = f"results/{configuration.name}"
    return packed(canonical({"settings": settings, "inputs": inputs, "output": output}))


def report_command(snakefile: str, config: Mapping[str, Any]) -> list[str]:
    """Snakemake's report on what the rule `publish` wrote, to be followed by the report's path."""
    command = ["python", "-m", "snakemake", "--snakefile", snakefile, "--nolock", "publish"]
    if config:
        command += ["--config", *(f"{key}={value}" for key, value in config.items())]
    return [*command, "--report"]
