# The configuration, the plan that it unrolls to, and what every rule asks of them.
import shlex
import sys
from pathlib import Path

BASE = Path(workflow.basedir)
sys.path.insert(0, str(BASE))

from snakemake.exceptions import WorkflowError

from lowrankgan.errors import LowRankGANError
from workflow.code import code_of
from workflow.configuration import load_configuration, load_training
from workflow.overrides import overrides_of, together_of, training_overrides_of
from workflow.plan import unroll
from workflow.publication import publish_job, report_command
from workflow.train_plan import unroll_training
from workflow.urgency import urgencies

try:
    configuration = load_configuration(overrides_of(config))
    plan = unroll(configuration)
    together = [
        unroll(load_configuration(words)).measured for words in together_of(config)
    ]
    training = unroll_training(load_training(training_overrides_of(config)))
except LowRankGANError as error:
    raise WorkflowError(str(error))

steps = plan.steps | training.steps
for measured in together:
    steps |= measured
urgent = urgencies(steps)
RESULTS = f"results/{configuration.name}"
RUN = "python {input.code[0]:q} {params.job:q} 2>&1 | tee {log}"
# Jobs have the running interpreter, whatever PATH and the `conda:` of a rule say (that names what it
# needs, as `snakemake --lint` asks). In the prefix, for a command that names it would differ between
# `make run` and `snakemake`, and each would run everything again.
SEARCH = shlex.quote(str(Path(sys.executable).parent))
# It replaces Snakemake's own prefix, so that it says again that a failure in a pipe is one.
shell.prefix(
    f"set -euo pipefail; export PATH={SEARCH}:$PATH PYTHONPATH={shlex.quote(str(BASE))}; "
)


onstart:
    # For its limit of jobs a second, every job that ends leaves Snakemake one more timer, at which it
    # looks at all that are ready again, each second: half a core after some 200 jobs, from which
    # those of two threads suffer most. Without the limit it looks when a job has ended. A longer span
    # in the profiles would not do: Snakemake waits for the last timer before it ends.
    workflow.scheduler.job_rate_limiter = None


wildcard_constraints:
    key="[0-9a-f]{12}",


def parents(stage):
    """Records of the steps that a step builds on."""

    def records(wildcards):
        found = steps[stage, wildcards.key].parents.values()
        return [step.record for steps in found for step in steps]

    return records


def job(stage):
    """Settings, inputs and output of a step as one string, by which Snakemake compares runs."""
    return lambda wildcards: steps[stage, wildcards.key].job


def growing(amount):
    """A resource of which a job that is tried again asks for more: twice, then three times."""
    return lambda wildcards, attempt: amount * attempt


def holding(amount):
    """Memory of a step that holds columns of J, as many as its settings allow, beside the rest."""
    return lambda wildcards, attempt: attempt * int(
        amount + 1000 * steps["jacobian", wildcards.key].settings["memory_gb"]
    )


def reported(folder, name, kind):
    """A published file with its caption in the report."""
    caption = f"../report/{folder}/{name.split('_')[0]}.rst"
    labels = {"name": name.replace("_", " ")}
    path = f"{RESULTS}/{folder}/{name}.{kind}"
    return report(path, caption=caption, category=folder.capitalize(), labels=labels)
