# Edited test faces and what they measure: results/metrics, generalize, distinct.


rule metrics:
    input:
        parents("metrics"),
        code=code_of(BASE, "metrics"),
    output:
        metrics="results/metrics/{key}/metrics.csv",
        record="results/metrics/{key}/record.json",
    log:
        "results/metrics/{key}/log.txt",
    benchmark:
        "results/metrics/{key}/benchmark.tsv"
    priority: lambda wildcards: urgent[wildcards.key]
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(3000),
        runtime=growing(480),
    params:
        job=job("metrics"),
    shell:
        RUN


rule generalize:
    input:
        parents("generalize"),
        code=code_of(BASE, "generalize"),
    output:
        matrix="results/generalize/{key}/matrix.csv",
        angles="results/generalize/{key}/angles.csv",
        record="results/generalize/{key}/record.json",
    log:
        "results/generalize/{key}/log.txt",
    benchmark:
        "results/generalize/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        job=job("generalize"),
    shell:
        RUN


rule distinct:
    input:
        parents("distinct"),
        code=code_of(BASE, "distinct"),
    output:
        attributes="results/distinct/{key}/attributes.csv",
        pairs="results/distinct/{key}/pairs.csv",
        record="results/distinct/{key}/record.json",
    log:
        "results/distinct/{key}/log.txt",
    benchmark:
        "results/distinct/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        job=job("distinct"),
    shell:
        RUN
