# Tables, figures and the report: results/tables, plot, picture, results/<experiment>.


rule tables:
    input:
        parents("tables"),
        code=code_of(BASE, "tables"),
    output:
        expand(
            "results/tables/{{key}}/{name}.{kind}",
            name=plan.table_names,
            kind=["csv", "md", "tex"],
        ),
        record="results/tables/{key}/record.json",
    log:
        "results/tables/{key}/log.txt",
    benchmark:
        "results/tables/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        job=job("tables"),
    shell:
        RUN


rule plot:
    input:
        parents("plot"),
        code=code_of(BASE, "plot"),
    output:
        png="results/plot/{key}/figure.png",
        pdf="results/plot/{key}/figure.pdf",
        record="results/plot/{key}/record.json",
    log:
        "results/plot/{key}/log.txt",
    benchmark:
        "results/plot/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        job=job("plot"),
    shell:
        RUN


rule picture:
    input:
        parents("picture"),
        code=code_of(BASE, "picture"),
    output:
        figures=directory("results/picture/{key}/figures"),
        record="results/picture/{key}/record.json",
    log:
        "results/picture/{key}/log.txt",
    benchmark:
        "results/picture/{key}/benchmark.tsv"
    priority: lambda wildcards: urgent[wildcards.key]
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        job=job("picture"),
    shell:
        RUN


rule publish:
    input:
        [step.record for step in plan.final],
        code=code_of(BASE, "publish"),
    output:
        [reported("figures", name, "png") for name in plan.figures],
        [reported("tables", name, "html") for name in plan.table_names],
        report(
            f"{RESULTS}/configuration.yaml",
            caption="../report/configuration.rst",
            category="Configuration",
        ),
        index=f"{RESULTS}/index.csv",
        cost=f"{RESULTS}/cost.csv",
        cost_methods=f"{RESULTS}/cost_methods.csv",
        manifest=f"{RESULTS}/manifest.json",
    log:
        f"{RESULTS}/log.txt",
    conda:
        "../../environment.yml"
    params:
        job=publish_job(configuration, plan),
    shell:
        RUN


rule report:
    input:
        rules.publish.output,
    output:
        f"{RESULTS}/report.html",
    log:
        f"{RESULTS}/report_log.txt",
    conda:
        "../../environment.yml"
    params:
        command=report_command(workflow.main_snakefile, config),
    shell:
        "{params.command:q} {output} > {log} 2>&1"
