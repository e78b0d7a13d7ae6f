# Tables, figures and the report: results/tables, results/figure, results/<experiment>.
from workflow.plan import TABLES
from workflow.publication import publish_job, report_command

RESULTS = f"results/{configuration.name}"


def reported(folder, name, kind):
    """A published file with its caption in the report."""
    caption = f"../report/{folder}/{name.split('_')[0]}.rst"
    labels = {"name": name.replace("_", " ")}
    path = f"{RESULTS}/{folder}/{name}.{kind}"
    return report(path, caption=caption, category=folder.capitalize(), labels=labels)


rule tables:
    input:
        parents("tables"),
        code=code_of(BASE, "tables"),
    output:
        expand("results/tables/{{key}}/{name}.{kind}", name=TABLES, kind=["csv", "md", "tex"]),
        record="results/tables/{key}/record.json",
    params:
        job=job("tables"),
    log:
        "results/tables/{key}/log.txt",
    benchmark:
        "results/tables/{key}/benchmark.tsv"
    resources:
        mem_mb=1000,
    shell:
        RUN


rule figure:
    input:
        parents("figure"),
        code=code_of(BASE, "figure"),
    output:
        png="results/figure/{key}/figure.png",
        pdf="results/figure/{key}/figure.pdf",
        record="results/figure/{key}/record.json",
    params:
        job=job("figure"),
    log:
        "results/figure/{key}/log.txt",
    benchmark:
        "results/figure/{key}/benchmark.tsv"
    resources:
        gpu=1,
        mem_mb=3000,
    shell:
        RUN


rule publish:
    input:
        [step.record for step in plan.final],
        code=code_of(BASE, "publish"),
    output:
        [reported("figures", name, "png") for name in plan.figures],
        [reported("tables", name, "html") for name in TABLES],
        report(
            f"{RESULTS}/configuration.yaml",
            caption="../report/configuration.rst",
            category="Configuration",
        ),
        index=f"{RESULTS}/index.csv",
    params:
        job=publish_job(configuration, plan),
    log:
        f"{RESULTS}/log.txt",
    shell:
        RUN


rule report:
    input:
        rules.publish.output,
    output:
        f"{RESULTS}/report.html",
    params:
        command=report_command(workflow.main_snakefile, config),
    log:
        f"{RESULTS}/report_log.txt",
    shell:
        "{params.command:q} {output} > {log} 2>&1"
