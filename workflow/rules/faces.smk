# Weights and faces: results/fetch, results/convert, results/sample.


rule fetch:
    input:
        code=code_of(BASE, "fetch"),
    output:
        files=directory("results/fetch/{key}/files"),
        record="results/fetch/{key}/record.json",
    log:
        "results/fetch/{key}/log.txt",
    benchmark:
        "results/fetch/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        job=job("fetch"),
    shell:
        RUN


rule convert:
    input:
        parents("convert"),
        code=code_of(BASE, "convert"),
    output:
        generator="results/convert/{key}/generator.safetensors",
        record="results/convert/{key}/record.json",
    log:
        "results/convert/{key}/log.txt",
    benchmark:
        "results/convert/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        job=job("convert"),
    shell:
        RUN


rule sample:
    input:
        parents("sample"),
        code=code_of(BASE, "sample"),
    output:
        images=directory("results/sample/{key}/images"),
        sheet="results/sample/{key}/faces.png",
        latents="results/sample/{key}/latents.safetensors",
        record="results/sample/{key}/record.json",
    log:
        "results/sample/{key}/log.txt",
    benchmark:
        "results/sample/{key}/benchmark.tsv"
    priority: 4
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        job=job("sample"),
    shell:
        RUN
