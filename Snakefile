# Low-Rank Subspaces in GANs, from sampled faces to tables, figures and a report.
# `make run` keeps a second `make run` out of this folder; what is started by hand is not kept out.
#   snakemake                                        the default experiment
#   snakemake --config experiment=ffhq set="region=[eyes,mouth] sample.psi=0.5"
# Results for people lie in results/<experiment>/, cached steps in results/<stage>/<key>/.
from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/faces.smk"
include: "workflow/rules/subspaces.smk"
include: "workflow/rules/edits.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/train.smk"


# On a cluster, these stay where Snakemake runs: they need a network, or are done at once.
localrules:
    all,
    measured,
    trained,
    fetch,
    dataset,
    publish,
    report,


rule all:
    default_target: True
    input:
        f"results/{configuration.name}/report.html",


# What several experiments measure and draw, as one plan: --config together=NAME,NAME
rule measured:
    input:
        [step.record for steps in together for step in steps.values()],
